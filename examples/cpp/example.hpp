// What the examples share: where to listen, and numbers and texts out of JSON. A program would use a JSON library.
#pragma once
#include <cstdlib>
#include <stdexcept>
#include <string>

inline void check(bool so) {
    if (!so) {
        throw std::runtime_error("a check of the example failed");
    }
}

// 127.0.0.1 and a free port without arguments; `more` is further configuration as JSON members, each after a comma.
inline std::string config(int argc, char **argv, const std::string &more = {}) {
    const std::string address = argc > 1 ? argv[1] : "127.0.0.1";
    const std::string port = argc > 2 ? argv[2] : "0";
    return "{\"address\": \"" + address + "\", \"port\": " + port + more + "}";
}

inline std::string text_in(const std::string &json, const std::string &name) {
    const std::string member = "\"" + name + "\":\"";
    const std::size_t at = json.find(member);
    check(at != std::string::npos);
    const std::size_t begin = at + member.size();
    return json.substr(begin, json.find('"', begin) - begin);
}

inline long number_in(const std::string &json, const std::string &name) {
    const std::string member = "\"" + name + "\":";
    const std::size_t at = json.find(member);
    check(at != std::string::npos);
    return std::strtol(json.c_str() + at + member.size(), nullptr, 10);
}

inline int count_in(const std::string &text, const std::string &part) {
    int count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
        count++;
    }
    return count;
}
