// The C++ member of the ring of all languages.
#include <dht.hpp>
#include <iostream>
#include <vector>

static std::string bytes_of(const std::string &hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

static std::string hex_of(const std::string &bytes) {
    static const char digits[] = "0123456789abcdef";
    std::string hex;
    for (const unsigned char byte : bytes) {
        hex.push_back(digits[byte >> 4]);
        hex.push_back(digits[byte & 15]);
    }
    return hex;
}

static std::vector<std::string> words_of(const std::string &line) {
    std::vector<std::string> words(1);
    for (const char c : line) {
        if (c == ' ') {
            words.emplace_back();
        } else {
            words.back().push_back(c);
        }
    }
    return words;
}

static std::string get(const dht::Node &node, const std::string &key) {
    if (key.find('\0') == std::string::npos) {
        try {
            const std::optional<std::string> json = node.get(key);
            return json ? "json " + hex_of(*json) : "none";
        } catch (const dht::Error &error) {
            if (error.code() != DHT_WRONG_FORMAT && error.code() != DHT_INVALID_ARGUMENT) {
                throw;
            }
        }
    }
    const std::optional<std::string> bytes = node.get_bytes(key);
    return bytes ? "bytes " + hex_of(*bytes) : "none";
}

static std::string compare_and_swap(dht::Node &node, const std::string &key, const std::string &expected,
                                    const std::string &value, const std::string &options) {
    const dht::Swap swap = node.compare_and_swap(
        key, expected.empty() ? dht::Expected::absent() : dht::Expected::value(expected), value, options);
    return swap ? "swapped" : swap.value ? "json " + hex_of(swap.value->data) : "none";
}

int main(int argc, char **argv) {
    const std::string options = "{\"consistency\": \"all\", \"timeout\": 30}";
    const std::string seeds = argc > 2 ? "\"" + std::string(argv[2]) + "\"" : "";
    dht::Node node("{\"node_id\": \"" + std::string(argv[1]) + "\", \"seeds\": [" + seeds + "]}");
    node.start();
    const std::string info = node.node_info(), member = "\"address\":\"";
    const std::size_t at = info.find(member) + member.size();
    std::cout << "address " << info.substr(at, info.find('"', at) - at) << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        const std::vector<std::string> words = words_of(line);
        if (words[0] == "ready") {
            node.wait_ready(std::chrono::seconds(60));
            std::cout << "ok" << std::endl;
        } else if (words[0] == "put" && words[2] == "json") {
            node.put(bytes_of(words[1]), bytes_of(words[3]), options);
            std::cout << "ok" << std::endl;
        } else if (words[0] == "put") {
            node.put_bytes(bytes_of(words[1]), bytes_of(words[3]), options);
            std::cout << "ok" << std::endl;
        } else if (words[0] == "get") {
            std::cout << get(node, bytes_of(words[1])) << std::endl;
        } else if (words[0] == "increment") {
            std::cout << node.increment(bytes_of(words[1]), std::stoll(words[2]), options) << std::endl;
        } else if (words[0] == "cas") {
            std::cout << compare_and_swap(node, bytes_of(words[1]), bytes_of(words[2]), bytes_of(words[3]), options)
                      << std::endl;
        } else {
            std::cout << "ok" << std::endl;
            break;
        }
    }
}
