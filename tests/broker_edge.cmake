# SPDX-License-Identifier: Apache-2.0
# The broker's edge: wire format, transport, log, configuration, the program jobwired.
pkg_check_modules(GOLDEN_FLATBUFFERS REQUIRED IMPORTED_TARGET flatbuffers)
set(golden_dir ${CMAKE_CURRENT_SOURCE_DIR}/contract/golden)

add_library(jobwire_golden STATIC ${golden_dir}/golden_set.cc)
target_include_directories(jobwire_golden PUBLIC ${golden_dir})
target_compile_definitions(jobwire_golden PUBLIC JOBWIRE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_link_libraries(jobwire_golden PUBLIC PkgConfig::GOLDEN_FLATBUFFERS PRIVATE jobwire_flags)
add_executable(make_golden ${golden_dir}/make_golden.cc)
target_link_libraries(make_golden PRIVATE jobwire_golden jobwire_flags)

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/unit/broker/wire/*_test.cc)
jobwire_test(broker_wire_test RING unit SOURCES ${sources} LIBS jobwire_wire jobwire_golden)
jobwire_test(broker_golden_test RING contract SOURCES contract/broker/golden_test.cc LIBS jobwire_wire jobwire_golden)
jobwire_test(broker_log_test RING unit SOURCES unit/broker/adapters/log_test.cc LIBS jobwire_log)
jobwire_test(broker_send_budget_test RING unit SOURCES unit/broker/adapters/send_budget_test.cc LIBS jobwire_zmq)
jobwire_test(broker_zmq_transport_test RING integration SOURCES integration/broker/zmq_transport_test.cc
             LIBS jobwire_zmq)
# A contract in the two forms that flatc gives it.
find_program(FLATC flatc REQUIRED)
set(matrix_source ${CMAKE_CURRENT_SOURCE_DIR}/integration/contract_project)
set(matrix_dir ${CMAKE_CURRENT_BINARY_DIR}/matrix)
add_custom_command(
  OUTPUT ${matrix_dir}/matrix.bfbs ${matrix_dir}/matrix_generated.h ${matrix_dir}/shapes_generated.h
  COMMAND ${FLATC} -b --schema --bfbs-builtins -o ${matrix_dir} ${matrix_source}/matrix.fbs
  COMMAND ${FLATC} --cpp --scoped-enums --gen-object-api --cpp-std c++17 -o ${matrix_dir} ${matrix_source}/shapes.fbs ${matrix_source}/matrix.fbs
  DEPENDS ${matrix_source}/matrix.fbs ${matrix_source}/shapes.fbs VERBATIM)
jobwire_test(broker_contracts_test RING unit
             SOURCES unit/broker/adapters/contracts/contract_set_test.cc ${matrix_dir}/matrix.bfbs LIBS jobwire_contracts)
target_include_directories(broker_contracts_test SYSTEM PRIVATE ${matrix_dir})
target_compile_definitions(broker_contracts_test PRIVATE JOBWIRE_MATRIX_BFBS="${matrix_dir}/matrix.bfbs"
                           JOBWIRE_CONTRACT_HASHES="${golden_dir}/contract_hashes.txt")
if(TARGET jobwire_app)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/unit/broker/app/*_test.cc)
  jobwire_test(broker_app_test RING unit SOURCES ${sources} LIBS jobwire_app)
endif()

if(JOBWIRE_BUILD_BENCH)
  find_package(benchmark REQUIRED)
  add_executable(jobwire_contracts_bench bench/contracts_bench.cc)
  target_link_libraries(jobwire_contracts_bench PRIVATE jobwire_contracts benchmark::benchmark jobwire_flags)
  set_target_properties(jobwire_contracts_bench PROPERTIES OUTPUT_NAME jobwire-contracts-bench
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  add_executable(jobwire_broker_wire_bench bench/broker_wire_bench.cc)
  target_link_libraries(jobwire_broker_wire_bench PRIVATE jobwire_wire benchmark::benchmark jobwire_flags)
  set_target_properties(jobwire_broker_wire_bench PROPERTIES OUTPUT_NAME jobwire-broker-wire-bench
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endif()

# Endless by nature, so in no ring: ops/dev/fuzz.
option(JOBWIRE_FUZZ "Build the libFuzzer targets (clang)" OFF)
if(JOBWIRE_FUZZ)
  add_executable(jobwire_decoder_fuzz fuzz/decoder_fuzz.cc)
  target_link_libraries(jobwire_decoder_fuzz PRIVATE jobwire_wire jobwire_flags)
  target_link_options(jobwire_decoder_fuzz PRIVATE -fsanitize=fuzzer)
  add_executable(jobwire_fuzz_corpus fuzz/golden_corpus.cc)
  target_link_libraries(jobwire_fuzz_corpus PRIVATE jobwire_golden jobwire_flags)
endif()
