# SPDX-License-Identifier: Apache-2.0
# The stores: Redis, and the one in memory that tests and the simulator use.
jobwire_broker_library(jobwire_redis adapters/redis LIBS jobwire_core jobwire_schemas PkgConfig::HIREDIS PkgConfig::FLATBUFFERS)
jobwire_broker_library(jobwire_memory_store adapters/memory LIBS jobwire_core)
