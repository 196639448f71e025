# SPDX-License-Identifier: Apache-2.0
# Configures and builds with CMake and lays the result out as a package would. Needs boot/lib/say.sh.

# project_configure [CMAKE OPTION...]
project_configure() {
    (cd "$PLINTH_ROOT" && quietly "$PLINTH_BUILD/log/configure.log" cmake --preset "$PLINTH_PRESET" "$@")
}

# project_build [TARGET...]: all of it when no target is named.
project_build() {
    local targets=()
    [ $# -eq 0 ] || targets=(--target "$@")
    say "building ${*:-all} ($PLINTH_PRESET)"
    quietly "$PLINTH_BUILD/log/build.log" \
        cmake --build "$PLINTH_BUILD/$PLINTH_PRESET" -j "$(nproc)" "${targets[@]}"
}

# project_install DIR: the files of the toolstack and of the backend below DIR, stripped, as `cmake --install` gives them to users.
project_install() {
    local room
    for room in toolstack guest-drivers/backend; do
        DESTDIR=$1 quietly "$PLINTH_BUILD/log/install.log" \
            cmake --install "$PLINTH_BUILD/$PLINTH_PRESET/$room" --strip
    done
}
