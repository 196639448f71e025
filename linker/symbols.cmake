# SPDX-License-Identifier: Apache-2.0
#
# plinth_link(NAME OBJECTS libraries...): links the image twice. The first link, with an empty symbol table, tells where
# each function is; the second has a table made from that. The table comes after all code, so filling it
# moves no function.

find_program(PLINTH_AWK NAMES mawk gawk awk REQUIRED)

function(plinth_link NAME OBJECTS)
    set(script ${PROJECT_SOURCE_DIR}/linker/plinth.ld)
    set(awk_program ${PROJECT_SOURCE_DIR}/linker/symbols.awk)
    set(empty ${CMAKE_CURRENT_BINARY_DIR}/symbols_empty.S)
    set(full ${CMAKE_CURRENT_BINARY_DIR}/symbols_full.S)

    add_custom_command(OUTPUT ${empty} DEPENDS ${awk_program}
        COMMAND ${PLINTH_AWK} -f ${awk_program} /dev/null > ${empty} VERBATIM)
    add_custom_command(OUTPUT ${full} DEPENDS ${NAME}_first ${awk_program}
        COMMAND ${CMAKE_NM} --numeric-sort --demangle --defined-only $<TARGET_FILE:${NAME}_first>
            > ${CMAKE_CURRENT_BINARY_DIR}/symbols.txt
        COMMAND ${PLINTH_AWK} -f ${awk_program} ${CMAKE_CURRENT_BINARY_DIR}/symbols.txt > ${full} VERBATIM)

    add_executable(${NAME}_first $<TARGET_OBJECTS:${OBJECTS}> ${empty})
    add_executable(${NAME} $<TARGET_OBJECTS:${OBJECTS}> ${full})
    foreach(image ${NAME}_first ${NAME})
        target_link_options(${image} PRIVATE -nostdlib -static -no-pie -Wl,-T,${script} -Wl,--gc-sections
            -Wl,-z,max-page-size=0x1000 -Wl,-z,noexecstack -Wl,--build-id=none)
        target_link_libraries(${image} PRIVATE ${ARGN})
        set_target_properties(${image} PROPERTIES LINK_DEPENDS ${script} LINKER_LANGUAGE CXX)
    endforeach()
endfunction()
