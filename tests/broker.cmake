# SPDX-License-Identifier: Apache-2.0
# The broker's rules.
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/unit/broker/core/*_test.cc)
jobwire_test(broker_core_test RING unit SOURCES ${sources} LIBS jobwire_core)
target_compile_definitions(broker_core_test PRIVATE JOBWIRE_PROTOCOL_MD="${CMAKE_SOURCE_DIR}/schemas/PROTOCOL.md")
