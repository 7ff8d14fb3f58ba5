# How Lightning DB is compiled, and the functions that its folders use:
#   lightning_room(<room> SOURCES a.cc ... [DEPS target ...])       a room of src/, as an object library
#   lightning_optional_library(<name> <header> <what> <links>)     what is built in where its library is found
#   lightning_test(<name> SOURCES a.cc ... [ROOMS room ...] [LABELS label ...] [LIBS target ...])

include(CheckCXXSourceCompiles)
include(CheckLinkerFlag)
include(GNUInstallDirs)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
find_program(LIGHTNING_CCACHE ccache)
if(LIGHTNING_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${LIGHTNING_CCACHE}")
endif()

find_package(Threads REQUIRED)

set(LIGHTNING_LTO OFF)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT LIGHTNING_SANITIZE)
  set(LIGHTNING_LTO ON)
endif()

# Directory options: they reach each target of this project and nothing of a project that embeds it.
add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -fno-omit-frame-pointer
                    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
if(LIGHTNING_WERROR)
  add_compile_options(-Werror)
endif()
if(LIGHTNING_SIM)
  add_compile_definitions(LIGHTNING_SIM=1)
endif()
if(LIGHTNING_SANITIZE)
  add_compile_options(-fsanitize=${LIGHTNING_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LIGHTNING_SANITIZE})
endif()

if(LIGHTNING_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

# LIGHTNING_ROOMS: names, lowest first; LIGHTNING_ROOM_<name>: the number of each.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/rooms.txt")
set(LIGHTNING_ROOMS "")
file(STRINGS "${PROJECT_SOURCE_DIR}/cmake/rooms.txt" room_lines REGEX "^[a-z]+ [0-9]+$")
foreach(line IN LISTS room_lines)
  string(REGEX MATCH "^([a-z]+) ([0-9]+)$" line "${line}")
  list(APPEND LIGHTNING_ROOMS ${CMAKE_MATCH_1})
  set(LIGHTNING_ROOM_${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
endforeach()

# LIGHTNING_WITH_<NAME>: AUTO (built in if it is found), ON (it must be) or OFF. Sets LIGHTNING_HAS_<NAME> to 1 or 0 and
# appends to the list `links` what is to be linked: the archive, if there is one, so that the shared library needs nothing
# else.
function(lightning_optional_library name header what links)
  string(TOUPPER ${name} upper)
  set(LIGHTNING_WITH_${upper} AUTO CACHE STRING "Build ${what} in: AUTO, ON or OFF")
  set(has 0)
  if(LIGHTNING_WITH_${upper})
    string(REGEX REPLACE "^lib" "" plain ${name})
    find_path(LIGHTNING_${upper}_INCLUDE ${header})
    find_library(LIGHTNING_${upper}_LIBRARY NAMES lib${plain}.a ${plain})
    mark_as_advanced(LIGHTNING_${upper}_INCLUDE LIGHTNING_${upper}_LIBRARY)
    if(LIGHTNING_${upper}_INCLUDE AND LIGHTNING_${upper}_LIBRARY)
      set(has 1)
      cmake_path(GET LIGHTNING_${upper}_LIBRARY FILENAME file)
      set(${links} ${${links}} -l:${file} PARENT_SCOPE)  # by name: what is installed names no path of this machine
    elseif(NOT LIGHTNING_WITH_${upper} STREQUAL "AUTO")
      message(FATAL_ERROR "LIGHTNING_WITH_${upper} is ON, and ${header} or its library is not found")
    endif()
  endif()
  set(LIGHTNING_HAS_${upper} ${has} PARENT_SCOPE)
endfunction()

# One room of src/: an object library, part of both libraries. A room without sources yet is skipped. SMALL: no get and
# no plain put comes through it, so that it is built for size (the shared library has less than 2 MiB), as are
# SMALL_SOURCES of a room that has others.
function(lightning_room room)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SMALL" "" "SOURCES;SMALL_SOURCES;DEPS")
  if(NOT room IN_LIST LIGHTNING_ROOMS)
    message(FATAL_ERROR "${room} is not in cmake/rooms.txt")
  endif()
  if(NOT arg_SOURCES)
    return()
  endif()
  add_library(lightning_${room} OBJECT ${arg_SOURCES} ${arg_SMALL_SOURCES})
  target_include_directories(lightning_${room} PUBLIC "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(lightning_${room} PUBLIC ${arg_DEPS})
  if(arg_SMALL AND CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(lightning_${room} PRIVATE -Os)
  endif()
  if(arg_SMALL_SOURCES AND CMAKE_BUILD_TYPE STREQUAL "Release")
    set_source_files_properties(${arg_SMALL_SOURCES} PROPERTIES COMPILE_OPTIONS -Os)
  endif()
  if(LIGHTNING_LTO)
    target_compile_options(lightning_${room} PRIVATE -flto=auto -ffat-lto-objects)
  endif()
  set_property(GLOBAL APPEND PROPERTY LIGHTNING_ROOM_TARGETS lightning_${room})
  set_property(GLOBAL APPEND PROPERTY LIGHTNING_ROOM_DEPS ${arg_DEPS})
endfunction()

# lightningdb (shared) and lightningdb_static, both of the objects of all rooms.
function(lightning_libraries)
  get_property(rooms GLOBAL PROPERTY LIGHTNING_ROOM_TARGETS)
  get_property(deps GLOBAL PROPERTY LIGHTNING_ROOM_DEPS)
  set(objects "")
  foreach(room IN LISTS rooms)
    list(APPEND objects $<TARGET_OBJECTS:${room}>)
  endforeach()
  add_library(lightningdb SHARED ${objects})
  add_library(lightningdb_static STATIC ${objects})
  set_target_properties(lightningdb PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  set_target_properties(lightningdb_static PROPERTIES OUTPUT_NAME lightningdb)
  target_link_options(lightningdb PRIVATE
    "-Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map"
    -Wl,-Bsymbolic-functions)  # our own calls of what we export are direct
  set_property(TARGET lightningdb APPEND PROPERTY LINK_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/exports.map")
  # Its handler for faults and its threads outlive a dlclose.
  target_link_options(lightningdb PRIVATE -Wl,-z,nodelete)
  # Relocations of tables of pointers: most of their 24 bytes each go, where the linker and the loader know the form.
  check_linker_flag(CXX -Wl,-z,pack-relative-relocs LIGHTNING_LINKER_PACKS_RELOCATIONS)
  check_cxx_source_compiles("#include <features.h>
    #if !__GLIBC_PREREQ(2, 36)
    #error
    #endif
    int main() {}" LIGHTNING_LOADER_KNOWS_PACKED_RELOCATIONS)
  if(LIGHTNING_LINKER_PACKS_RELOCATIONS AND LIGHTNING_LOADER_KNOWS_PACKED_RELOCATIONS)
    target_link_options(lightningdb PRIVATE -Wl,-z,pack-relative-relocs)
  endif()
  if(LIGHTNING_LTO)
    # A get and a step of a scan pass through several rooms: a fifth fewer instructions. The archive keeps plain code
    # alone: what the compiler writes for link time is for compilers of its own version.
    target_link_options(lightningdb PRIVATE -flto=auto)
    add_custom_command(TARGET lightningdb_static POST_BUILD VERBATIM
      COMMAND "${CMAKE_STRIP}" -R ".gnu.lto_*" -R ".gnu.debuglto_*" -N __gnu_lto_v1 $<TARGET_FILE:lightningdb_static>)
  endif()
  if(NOT LIGHTNING_SANITIZE)  # a sanitizer's runtime stands in the executable
    target_link_options(lightningdb PRIVATE -Wl,--no-undefined)
  endif()
  foreach(library lightningdb lightningdb_static)
    target_compile_features(${library} PUBLIC cxx_std_20)
    target_include_directories(${library} PUBLIC
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${library} PRIVATE Threads::Threads ${deps})
    add_library(LightningDB::${library} ALIAS ${library})
  endforeach()
endfunction()

# A GoogleTest executable, each of its tests known to ctest. It links `lightning_testing` and, beside that, the
# objects of ROOMS; ROOMS is by default, in src/<room>, that room and all of a lower number (so that a unit test
# builds without what stands above it), elsewhere the whole static library. LABELS choose the presets that run it:
#   asan runs all but install, demo and release-only; tsan threads; sim sim; unmapped unmapped;
#   release kill, cli, install, demo and release-only.
function(lightning_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;ROOMS;LABELS;LIBS")
  if(NOT LIGHTNING_TESTS)
    return()
  endif()
  find_package(GTest REQUIRED)
  include(GoogleTest)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/src" OUTPUT_VARIABLE room)
  set(libraries lightningdb_static)
  if(NOT arg_ROOMS AND room IN_LIST LIGHTNING_ROOMS)
    foreach(other IN LISTS LIGHTNING_ROOMS)
      if(other STREQUAL room OR LIGHTNING_ROOM_${other} LESS LIGHTNING_ROOM_${room})
        list(APPEND arg_ROOMS ${other})
      endif()
    endforeach()
  endif()
  if(arg_ROOMS)
    list(APPEND arg_ROOMS io)  # it defines what base declares of the system: parking, the heavy barrier
    list(REMOVE_DUPLICATES arg_ROOMS)
    list(TRANSFORM arg_ROOMS REPLACE "(.+)" "$<TARGET_NAME_IF_EXISTS:lightning_\\1>" OUTPUT_VARIABLE libraries)
  endif()

  add_executable(${name} ${arg_SOURCES})
  if(LIGHTNING_LTO)
    target_link_options(${name} PRIVATE -fno-lto)
  endif()
  target_include_directories(${name} PRIVATE
    "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include")
  target_link_libraries(${name} PRIVATE ${arg_LIBS} $<TARGET_NAME_IF_EXISTS:lightning_testing>
                        ${libraries} GTest::gtest_main Threads::Threads)
  list(JOIN arg_LABELS "+" labels)  # ctest -L matches a part of it; PRE_TEST discovery loses a list
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 TEST_PREFIX "${name}." PROPERTIES
                       LABELS "${labels}")
  foreach(label IN ITEMS threads sim unmapped)  # presets that build nothing else
    if(label IN_LIST arg_LABELS)
      add_dependencies(tests_${label} ${name})
    endif()
  endforeach()
endfunction()
