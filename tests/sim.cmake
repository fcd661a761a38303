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
