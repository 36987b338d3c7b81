# What every target of ours is built with, and the two ways to declare one.

add_library(fettle_options INTERFACE)
target_include_directories(fettle_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(fettle_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers -Werror=unused-result)
if(FETTLE_WERROR)
  target_compile_options(fettle_options INTERFACE -Werror)
endif()
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
if(FETTLE_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O0)
  add_link_options(-fsanitize=address,undefined)
elseif(FETTLE_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -O1)
  add_link_options(-fsanitize=thread)
endif()

# Some forty programs are linked; gold (of binutils) takes half the time of the default linker.
find_program(FETTLE_GOLD ld.gold)
if(FETTLE_GOLD)
  add_link_options(-fuse-ld=gold)
endif()

# fettle_library(NAME SOURCES a.cc ... LINKS targets ...): one folder, one static library fettle_NAME.
# A folder without sources (headers only) becomes an interface library.
function(fettle_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  if(arg_SOURCES)
    add_library(fettle_${name} STATIC ${arg_SOURCES})
    target_link_libraries(fettle_${name} PUBLIC fettle_options ${arg_LINKS})
  else()
    add_library(fettle_${name} INTERFACE)
    target_link_libraries(fettle_${name} INTERFACE fettle_options ${arg_LINKS})
  endif()
endfunction()

# fettle_test(NAME SOURCES a_test.cc ... LINKS targets ... [LABELS unit|slow]): one GoogleTest binary.
# Label `unit` (the default) runs under every preset that ./dev test covers; the target unit_tests
# builds these alone.
add_custom_target(unit_tests)
function(fettle_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINKS;LABELS;ARGS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE fettle_options ${arg_LINKS} GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE FETTLE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  if(unit IN_LIST arg_LABELS)
    add_dependencies(unit_tests ${name})
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
endfunction()
