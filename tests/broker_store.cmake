# SPDX-License-Identifier: Apache-2.0
# The stores: one suite on each, and what only Redis can do.
if(TARGET jobwire_redis AND TARGET jobwire_memory_store)
  add_library(jobwire_store_rig STATIC contract/broker/store_rig.cc)
  target_link_libraries(jobwire_store_rig PUBLIC jobwire_core GTest::gtest GTest::gmock PRIVATE jobwire_flags)
  target_include_directories(jobwire_store_rig PUBLIC contract/broker)
  jobwire_test(broker_memory_store_test RING contract SOURCES contract/broker/memory_store_test.cc
               LIBS jobwire_memory_store jobwire_store_rig)
  jobwire_test(broker_refusals_test RING contract SOURCES contract/broker/refusals_test.cc
               LIBS jobwire_runtime jobwire_memory_store jobwire_golden)
  jobwire_test(broker_redis_store_test RING contract
               SOURCES contract/broker/redis_store_test.cc contract/broker/redis_faults_test.cc
                       contract/broker/redis_open_test.cc contract/broker/embedded_redis_test.cc
                       contract/broker/redis_server.cc contract/broker/socket_proxy.cc
               LIBS jobwire_redis jobwire_store_rig Threads::Threads)
  jobwire_test(broker_retention_test RING contract
               SOURCES contract/broker/retention_test.cc contract/broker/redis_server.cc contract/broker/socket_proxy.cc
               LIBS jobwire_redis jobwire_store_rig Threads::Threads)
  target_compile_definitions(broker_redis_store_test PRIVATE JOBWIRE_REDIS_MD="${CMAKE_SOURCE_DIR}/schemas/REDIS.md")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/unit/broker/adapters/redis/*_test.cc)
  jobwire_test(broker_redis_unit_test RING unit SOURCES ${sources} LIBS jobwire_redis)
  if(JOBWIRE_BUILD_BENCH)
    add_executable(jobwire_store_bench bench/store_bench.cc)
    target_link_libraries(jobwire_store_bench PRIVATE jobwire_redis jobwire_flags)
    set_target_properties(jobwire_store_bench PROPERTIES OUTPUT_NAME jobwire-store-bench RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  endif()
endif()
