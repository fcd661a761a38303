# SPDX-License-Identifier: Apache-2.0
# jobwire_contract(<target> <contract.fbs> [INCLUDES <folder>...])
#
# Generates NAME_contract.h, the typed client of each rpc_service in the contract, and flatc's NAME_generated.h, whenever
# the contract or a file that it includes changes, and lets <target> include them. Needs the command `jobwire` (of the
# Python distribution jobwire: in an active environment, or -DJOBWIRE_COMMAND=…), flatc, and the headers of FlatBuffers.
function(jobwire_contract target contract)
  cmake_parse_arguments(ARG "" "" "INCLUDES" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "jobwire_contract: unknown argument ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  find_program(JOBWIRE_COMMAND jobwire DOC "The command jobwire, of the Python distribution jobwire")
  if(NOT JOBWIRE_COMMAND)
    message(FATAL_ERROR "jobwire_contract: the command jobwire is not found: "
                        "install the Python distribution jobwire, or set JOBWIRE_COMMAND")
  endif()
  find_path(JOBWIRE_FLATBUFFERS_INCLUDE flatbuffers/flatbuffers.h DOC "Where the headers of FlatBuffers are")
  if(NOT JOBWIRE_FLATBUFFERS_INCLUDE)
    message(FATAL_ERROR "jobwire_contract: no flatbuffers/flatbuffers.h (Debian: apt-get install libflatbuffers-dev)")
  endif()

  cmake_path(ABSOLUTE_PATH contract)
  cmake_path(GET contract STEM name)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/jobwire_contracts/${target})
  set(includes)
  foreach(include IN LISTS ARG_INCLUDES)
    cmake_path(ABSOLUTE_PATH include)
    list(APPEND includes -I ${include})
  endforeach()
  add_custom_command(
    OUTPUT ${folder}/${name}_contract.h
    BYPRODUCTS ${folder}/${name}_generated.h
    COMMAND ${JOBWIRE_COMMAND} gen ${contract} --cpp ${folder} ${includes} --depfile ${folder}/${name}.d
    DEPENDS ${contract}
    DEPFILE ${folder}/${name}.d
    COMMENT "jobwire gen ${name}"
    VERBATIM)
  target_sources(${target} PRIVATE ${folder}/${name}_contract.h)
  target_include_directories(${target} PRIVATE ${folder})
  target_include_directories(${target} SYSTEM PRIVATE ${JOBWIRE_FLATBUFFERS_INCLUDE})
endfunction()
