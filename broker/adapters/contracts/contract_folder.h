// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "ports/contracts.h"

namespace jobwire::contracts {

/// The binary schemas (*.bfbs) of a folder, by name. A failure says what cannot be read; a .fbs in
/// there is one, since nobody would check by it.
ports::Result<std::vector<ports::ContractFile>> read_contract_folder(const std::string& path);

}  // namespace jobwire::contracts
