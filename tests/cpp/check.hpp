// What the C++ tests share.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <string>

#include <dht.hpp>

#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                   \
        }                                                                                   \
    } while (0)

template <typename Function>
inline void throws(dht_status code, Function function) {
    try {
        function();
    } catch (const dht::Error &error) {
        CHECK(error.code() == code);
        CHECK(std::string(error.what()).rfind(dht_status_name(static_cast<std::int32_t>(code)), 0) == 0);
        return;
    }
    CHECK(!"it threw nothing");
}

inline std::string address_of(const dht::Node &node) {
    std::string info = node.node_info();
    std::size_t begin = info.find("\"address\":\"") + 11;
    return info.substr(begin, info.find('"', begin) - begin);
}

// In vectors.cpp.
void vectors();
void wrong_input();
