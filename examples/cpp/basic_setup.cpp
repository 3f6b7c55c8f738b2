// One node, alone: it serves at once.
//
// c++ -std=c++17 basic_setup.cpp $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]]
#include <dht.hpp>
#include <iostream>

#include "example.hpp"

int main(int argc, char **argv) {
    dht::Node node(config(argc, argv));
    node.start();
    std::cout << "started a node at " << text_in(node.node_info(), "address") << "\n";

    // Values are JSON text; answers too.
    const std::string outcome = node.put("greeting", "\"hello\"");
    std::cout << "stored greeting on " << number_in(outcome, "acks") << " of " << number_in(outcome, "set_size")
              << " replicas\n";

    const std::optional<std::string> greeting = node.get("greeting");
    check(greeting == "\"hello\"");
    std::cout << "read greeting: " << greeting->substr(1, greeting->size() - 2) << "\n";

    // A missing key is no error.
    check(!node.get("no such key").has_value());
    std::cout << "read a missing key: nothing\n";

    check(node.erase("greeting"));
    std::cout << "deleted greeting\n";

    // Hands over what only this node holds, if there are others, and says goodbye.
    node.leave();
    std::cout << "left\n";
}
