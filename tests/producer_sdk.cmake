# SPDX-License-Identifier: Apache-2.0
# The C++ client: its parts, the whole against a scripted broker on a real socket, its headers, the installed package.
set(sdk_tests ${CMAKE_CURRENT_LIST_DIR}/unit/producer_sdk)
set(sdk_root ${CMAKE_CURRENT_LIST_DIR}/../producer_sdk)

add_library(jobwire_scripted_broker STATIC ${sdk_tests}/scripted_broker.cc)
target_include_directories(jobwire_scripted_broker PUBLIC ${sdk_tests})
target_link_libraries(jobwire_scripted_broker
  PUBLIC jobwire::client jobwire_schemas PRIVATE GTest::gtest PkgConfig::jobwire_libzmq jobwire_flags)

if(JOBWIRE_BUILD_BENCH)
  add_executable(jobwire_sdk_bench ${CMAKE_CURRENT_LIST_DIR}/bench/sdk.cc)
  target_link_libraries(jobwire_sdk_bench PRIVATE jobwire_scripted_broker GTest::gtest jobwire_flags)
  set_target_properties(jobwire_sdk_bench PROPERTIES
    OUTPUT_NAME jobwire-sdk-bench RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endif()

if(JOBWIRE_BUILD_TESTS)
  jobwire_test(producer_sdk_client_test RING unit TIMEOUT 180
    SOURCES ${sdk_tests}/client_test.cc LIBS jobwire_scripted_broker)
  jobwire_test(producer_sdk_pending_test RING unit SOURCES ${sdk_tests}/pending_test.cc LIBS jobwire_scripted_broker)
  jobwire_test(producer_sdk_connection_test RING unit SOURCES ${sdk_tests}/connection_test.cc LIBS jobwire_scripted_broker)
  jobwire_test(producer_sdk_operator_test RING unit SOURCES ${sdk_tests}/operator_test.cc LIBS jobwire_scripted_broker)
  jobwire_test(producer_sdk_plain_caller_test RING unit
    SOURCES ${sdk_tests}/plain_caller_test.cc ${sdk_tests}/plain_caller.cc LIBS jobwire_scripted_broker)
  # Where ubsan looks at objects' types, all code must have them: its check of vtables needs type information.
  if(JOBWIRE_SANITIZE MATCHES undefined)
    set(plain_caller_options -fno-exceptions)
  else()
    set(plain_caller_options -fno-exceptions -fno-rtti)
  endif()
  set_source_files_properties(${sdk_tests}/plain_caller.cc PROPERTIES COMPILE_OPTIONS "${plain_caller_options}")

  jobwire_test(producer_sdk_readme_test RING unit SOURCES ${sdk_tests}/readme_test.cc
    LIBS jobwire_scripted_broker jobwire::testing)
  get_filename_component(source_root ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)
  target_compile_definitions(producer_sdk_readme_test PRIVATE JOBWIRE_SOURCE_DIR="${source_root}")

  # Tests of what is hidden in the library see its sources.
  if(NOT BUILD_SHARED_LIBS)
    jobwire_test(producer_sdk_parts_test RING unit
      SOURCES ${sdk_tests}/base64_test.cc ${sdk_tests}/endpoints_test.cc
              ${sdk_tests}/id_table_test.cc ${sdk_tests}/job_check_test.cc
              ${sdk_tests}/job_id_test.cc ${sdk_tests}/outbound_test.cc ${sdk_tests}/reconnect_test.cc
              ${sdk_tests}/result_test.cc ${sdk_tests}/spool_test.cc
      LIBS jobwire::client jobwire_schemas)
    target_include_directories(producer_sdk_parts_test PRIVATE ${sdk_root}/src)
  endif()

  add_executable(jobwire_spool_poster ${CMAKE_CURRENT_LIST_DIR}/integration/producer_sdk/spool_poster.cc)
  target_link_libraries(jobwire_spool_poster PRIVATE jobwire::client jobwire_flags)
  jobwire_test(producer_sdk_spool_kill_test RING integration TIMEOUT 600
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/integration/producer_sdk/spool_kill_test.cc LIBS jobwire_scripted_broker)
  target_compile_definitions(producer_sdk_spool_kill_test
    PRIVATE JOBWIRE_SPOOL_POSTER="$<TARGET_FILE:jobwire_spool_poster>")
  add_dependencies(producer_sdk_spool_kill_test jobwire_spool_poster)

  # One suite for the broker in the test's own process and, run by pytest, for the real one.
  jobwire_test(producer_sdk_broker_contract_test RING contract
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/contract/producer_sdk/broker_contract_test.cc LIBS jobwire::testing)
  set_target_properties(producer_sdk_broker_contract_test PROPERTIES
    OUTPUT_NAME jobwire-broker-contract RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

  # Run by operator_live_test.py, which gives it a system to talk to.
  add_executable(jobwire_operator_live ${CMAKE_CURRENT_LIST_DIR}/integration/producer_sdk/operator_live.cc)
  target_link_libraries(jobwire_operator_live
    PRIVATE jobwire::client GTest::gmock GTest::gtest GTest::gtest_main Threads::Threads jobwire_flags)
  set_target_properties(jobwire_operator_live PROPERTIES
    OUTPUT_NAME jobwire-operator-live RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

  # Each public header compiles alone, without any library's headers, as a caller may compile it.
  file(GLOB sdk_headers RELATIVE ${sdk_root}/include CONFIGURE_DEPENDS
    ${sdk_root}/include/jobwire/*.h ${sdk_root}/include/jobwire/testing/*.h)
  set(header_sources)
  foreach(header IN LISTS sdk_headers)
    string(MAKE_C_IDENTIFIER ${header} name)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/sdk_headers/${name}.cc)
    file(CONFIGURE OUTPUT ${source} CONTENT "#include <@header@>\n#include <@header@>\n" @ONLY)
    list(APPEND header_sources ${source})
  endforeach()
  add_library(producer_sdk_headers OBJECT ${header_sources})
  target_include_directories(producer_sdk_headers PRIVATE ${sdk_root}/include)
  target_compile_options(producer_sdk_headers PRIVATE -fno-exceptions -fno-rtti)
  target_link_libraries(producer_sdk_headers PRIVATE jobwire_flags)

  # Installs to an empty place, then builds and runs a separate project against it.
  if(NOT JOBWIRE_SANITIZE)
    add_test(NAME producer_sdk_install
      COMMAND ${CMAKE_CURRENT_LIST_DIR}/integration/sdk_install/run.sh ${CMAKE_BINARY_DIR})
    set_tests_properties(producer_sdk_install PROPERTIES LABELS integration TIMEOUT 900)
  endif()
endif()
