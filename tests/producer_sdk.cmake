# SPDX-License-Identifier: Apache-2.0
# The C++ client: against a scripted broker on a real socket, as headers, and as an installed package.
set(sdk_tests ${CMAKE_CURRENT_LIST_DIR}/unit/producer_sdk)

add_library(jobwire_scripted_broker STATIC ${sdk_tests}/scripted_broker.cc)
target_include_directories(jobwire_scripted_broker PUBLIC ${sdk_tests})
target_link_libraries(jobwire_scripted_broker
  PUBLIC jobwire::client jobwire_schemas PRIVATE GTest::gtest PkgConfig::jobwire_libzmq jobwire_flags)

jobwire_test(producer_sdk_client_test RING unit TIMEOUT 180
  SOURCES ${sdk_tests}/client_test.cc LIBS jobwire_scripted_broker)
