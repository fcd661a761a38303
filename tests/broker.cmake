# SPDX-License-Identifier: Apache-2.0
# The broker's rules.
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/unit/broker/core/*_test.cc)
jobwire_test(broker_core_test RING unit SOURCES ${sources} LIBS jobwire_core)
target_compile_definitions(broker_core_test PRIVATE JOBWIRE_PROTOCOL_MD="${CMAKE_SOURCE_DIR}/schemas/PROTOCOL.md")

# The same rules as data, which jobwire.testing in Python is held to.
add_library(jobwire_rules STATIC contract/golden/rules.cc)
target_link_libraries(jobwire_rules PUBLIC jobwire_core PRIVATE jobwire_flags)
add_executable(make_rules contract/golden/make_rules.cc)
target_link_libraries(make_rules PRIVATE jobwire_rules jobwire_flags)
jobwire_test(broker_rules_golden_test RING contract SOURCES contract/broker/rules_golden_test.cc LIBS jobwire_rules)
target_compile_definitions(broker_rules_golden_test PRIVATE JOBWIRE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
