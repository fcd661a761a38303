# SPDX-License-Identifier: Apache-2.0
# The simulator: the real core, wire and runtime with simulated time, network, store and peers (tests/sim).
file(GLOB sim_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/sim/*.cc)
list(FILTER sim_sources EXCLUDE REGEX "/main\\.cc$")
file(GLOB sim_broker_sources CONFIGURE_DEPENDS
     ${CMAKE_CURRENT_LIST_DIR}/../broker/core/*.cc ${CMAKE_CURRENT_LIST_DIR}/../broker/wire/*.cc ${CMAKE_CURRENT_LIST_DIR}/../broker/runtime/*.cc)

# Compiled anew, so that its assertions hold here whatever the build type.
add_library(jobwire_sim_broker STATIC ${sim_broker_sources})
target_include_directories(jobwire_sim_broker PUBLIC ${CMAKE_CURRENT_LIST_DIR}/../broker)
target_compile_options(jobwire_sim_broker PUBLIC -UNDEBUG)
target_link_libraries(jobwire_sim_broker PUBLIC jobwire_schemas PkgConfig::FLATBUFFERS PRIVATE jobwire_flags)

add_library(jobwire_sim_world STATIC ${sim_sources})
target_include_directories(jobwire_sim_world PUBLIC ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(jobwire_sim_world PUBLIC jobwire_sim_broker PRIVATE jobwire_flags)

add_executable(jobwire_sim ${CMAKE_CURRENT_LIST_DIR}/sim/main.cc)
target_link_libraries(jobwire_sim PRIVATE jobwire_sim_world jobwire_sim_broker jobwire_flags)

# 2,000 seeds, in parts that run side by side. Counters that stay at zero are a failure: a fault that never fires tests
# nothing.
foreach(part RANGE 0 3)
  math(EXPR first "${part} * 500 + 1")
  math(EXPR last "${part} * 500 + 500")
  add_test(NAME sim.seeds_${first}_to_${last} COMMAND jobwire_sim --seeds ${first}..${last} --coverage --failures 5)
  set_tests_properties(sim.seeds_${first}_to_${last} PROPERTIES LABELS sim TIMEOUT 300)
endforeach()
add_test(NAME sim.a_seed_gives_one_run COMMAND jobwire_sim --seeds 1..40 --twice)
set_tests_properties(sim.a_seed_gives_one_run PROPERTIES LABELS sim TIMEOUT 120)

# The test of the test: the same program with one source of the core broken on purpose must fail within so many seeds.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
file(GLOB sim_mutants CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/sim/mutants/*.txt)
foreach(mutant IN LISTS sim_mutants)
  get_filename_component(name ${mutant} NAME_WE)
  file(STRINGS ${mutant} broken REGEX "^file:")
  string(REGEX REPLACE "^file: *" "" broken ${broken})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/sim_mutants/${name}.cc)
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/sim_mutants)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/sim/mutate.py ${mutant} ${CMAKE_CURRENT_LIST_DIR}/../broker ${source}
    DEPENDS ${mutant} ${CMAKE_CURRENT_LIST_DIR}/sim/mutate.py ${CMAKE_CURRENT_LIST_DIR}/../broker/${broken}
    VERBATIM)
  # Its own object comes before the library's of the same source, which the linker then leaves out.
  add_executable(jobwire_sim_${name} ${CMAKE_CURRENT_LIST_DIR}/sim/main.cc ${source})
  target_link_libraries(jobwire_sim_${name} PRIVATE jobwire_sim_world jobwire_sim_broker)
  add_test(NAME sim.catches_${name} COMMAND jobwire_sim_${name} --seeds 1..200 --must-fail)
  set_tests_properties(sim.catches_${name} PROPERTIES LABELS sim TIMEOUT 120)
endforeach()
