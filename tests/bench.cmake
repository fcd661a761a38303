# SPDX-License-Identifier: Apache-2.0
# Benchmarks of single parts; those of the whole are ops/dev/bench.
if(JOBWIRE_BUILD_BENCH AND TARGET jobwire_core)
  find_package(benchmark REQUIRED)
  add_executable(jobwire_core_bench bench/core_bench.cc)
  target_link_libraries(jobwire_core_bench PRIVATE jobwire_core benchmark::benchmark jobwire_flags)
  set_target_properties(jobwire_core_bench PROPERTIES OUTPUT_NAME jobwire-core-bench RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endif()
