// SPDX-License-Identifier: Apache-2.0
// Writes schemas/golden/rules.json: make_rules <repository>/schemas/golden/rules.json. Run it when
// a rule of the core changes, and read the difference.
#include <fstream>
#include <iostream>

#include "rules.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_rules FILE\n";
    return 2;
  }
  std::ofstream file(argv[1], std::ios::trunc);
  file << jobwire::golden::rules();
  file.close();
  if (!file) {
    std::cerr << "cannot write " << argv[1] << '\n';
    return 1;
  }
  return 0;
}
