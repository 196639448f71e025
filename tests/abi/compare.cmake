# SPDX-License-Identifier: Apache-2.0
#
# Runs PROGRAM and compares what it prints with the file GOLDEN; says which lines differ.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE printed RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${PROGRAM} ends with ${result}")
endif()
file(READ ${GOLDEN} golden)
if(NOT printed STREQUAL golden)
    string(REPLACE "\n" ";" printed_lines "${printed}")
    string(REPLACE "\n" ";" golden_lines "${golden}")
    foreach(pair IN ZIP_LISTS printed_lines golden_lines)
        if(NOT pair_0 STREQUAL pair_1)
            message("now: ${pair_0}    golden: ${pair_1}")
        endif()
    endforeach()
    message(FATAL_ERROR "the public ABI's layout differs from ${GOLDEN}")
endif()
