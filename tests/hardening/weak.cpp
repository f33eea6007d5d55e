// A program built without any hardening: the check of the binaries must find each thing that it lacks.
#include <cstdio>
#include <cstring>

int main(int count, char** arguments) {
    char text[64];
    std::strcpy(text, arguments[count - 1]);
    return std::puts(text) < 0 ? 1 : 0;
}
