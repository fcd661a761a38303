# SPDX-License-Identifier: Apache-2.0
# Programs that the tests of the whole system and the benchmarks run; the tests themselves are in Python.
if(TARGET jobwire_client)
  foreach(program integration/system/campaign bench/rtt bench/delays)
    get_filename_component(name ${program} NAME)
    add_executable(jobwire_${name} ${program}.cc)
    target_link_libraries(jobwire_${name} PRIVATE jobwire::client Threads::Threads jobwire_flags)
    set_target_properties(jobwire_${name} PROPERTIES OUTPUT_NAME jobwire-${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  endforeach()
endif()
if(TARGET jobwire_client AND JOBWIRE_BUILD_TESTS)
  # Run by life_test.py, which gives it a system to talk to.
  add_executable(jobwire_life integration/system/life.cc)
  target_link_libraries(jobwire_life PRIVATE jobwire::client GTest::gtest GTest::gtest_main Threads::Threads jobwire_flags)
  set_target_properties(jobwire_life PROPERTIES OUTPUT_NAME jobwire-life RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endif()
