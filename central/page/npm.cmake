# Installs a package-lock.json's packages into a directory of the build: cmake -DFROM=DIR -DTO=DIR -P npm.cmake
find_program(NPM npm)
if(NOT NPM)
  message(FATAL_ERROR "npm is missing: the dashboard's charts come from it (scripts/setup installs it, or put npm on PATH)")
endif()
file(MAKE_DIRECTORY ${TO})
file(COPY ${FROM}/package.json ${FROM}/package-lock.json DESTINATION ${TO})
execute_process(COMMAND ${NPM} ci --no-audit --no-fund --ignore-scripts --loglevel=error WORKING_DIRECTORY ${TO}
                RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(failed)
  message(FATAL_ERROR "npm ci failed in ${TO}: no network, or a registry that does not answer?\n${said}")
endif()
file(TOUCH ${TO}/installed)
