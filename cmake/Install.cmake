# `cmake --install`: headers, both libraries, lightning-cli, and what find_package and pkg-config read.
# All paths are relative to the prefix, so that an installed tree may be moved.

include(CMakePackageConfigHelpers)
set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/LightningDB")

install(DIRECTORY include/lightning DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
install(TARGETS lightningdb lightningdb_static EXPORT LightningDBTargets)
if(TARGET lightningdb_json)
  install(TARGETS lightningdb_json EXPORT LightningDBTargets)
endif()
if(TARGET lightning-cli)
  set_target_properties(lightning-cli PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS lightning-cli)
endif()

install(EXPORT LightningDBTargets NAMESPACE LightningDB:: DESTINATION "${config_dir}")
set(LIGHTNING_JSON_DEPENDENCY "")
if(TARGET lightningdb_json)
  set(LIGHTNING_JSON_DEPENDENCY "find_package(simdjson QUIET)  # lightningdb_json needs it, and nothing else does")
endif()
configure_package_config_file(cmake/LightningDBConfig.cmake.in LightningDBConfig.cmake
                              INSTALL_DESTINATION "${config_dir}")
write_basic_package_version_file(LightningDBConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/LightningDBConfig.cmake" "${PROJECT_BINARY_DIR}/LightningDBConfigVersion.cmake"
        DESTINATION "${config_dir}")

get_property(room_deps GLOBAL PROPERTY LIGHTNING_ROOM_DEPS)
list(FILTER room_deps INCLUDE REGEX "^-l")
list(JOIN room_deps " " LIGHTNING_PRIVATE_LIBS)
string(PREPEND LIGHTNING_PRIVATE_LIBS " ")
file(RELATIVE_PATH pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/lightningdb.pc.in lightningdb.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/lightningdb.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
