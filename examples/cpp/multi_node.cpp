// Three nodes of one ring. Here they share a process; they may as well run on three machines.
//
// c++ -std=c++17 multi_node.cpp $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]]: of the first; the others
// take free ports.
#include <dht.hpp>
#include <iostream>

#include "example.hpp"

static dht::Node started(const std::string &name, const std::string &config) {
    dht::Node node(config);
    node.start();
    std::cout << "node " << name << " at " << text_in(node.node_info(), "address") << "\n";
    return node;
}

static void reads(const dht::Node &node, const std::string &name) {
    const std::optional<std::string> user = node.get("user:1");
    check(user == "\"Ada\"");
    std::cout << name << " reads user:1: " << user->substr(1, user->size() - 2) << "\n";
}

int main(int argc, char **argv) {
    dht::Node one = started("one", config(argc, argv, ", \"node_id\": \"one\""));

    // Any member's address is enough to join. The others take free ports.
    const std::string seeds = ", \"seeds\": [\"" + text_in(one.node_info(), "address") + "\"]";
    const int address_only = argc < 2 ? argc : 2;
    dht::Node two = started("two", config(address_only, argv, ", \"node_id\": \"two\"" + seeds));
    dht::Node three = started("three", config(address_only, argv, ", \"node_id\": \"three\"" + seeds));
    for (dht::Node *node : {&one, &two, &three}) {
        node->wait_ready();
    }
    std::cout << count_in(one.members(), "\"address\":") << " members\n";

    std::cout << "two wrote user:1 on " << number_in(two.put("user:1", "\"Ada\""), "wanted") << " replicas at least\n";
    reads(one, "one");
    std::cout << "user:1 is kept by " << count_in(three.locate("user:1"), "\"address\":") << " nodes\n";

    // A node that leaves hands over first, so nothing is lost.
    two.leave();
    std::cout << "two left\n";
    reads(three, "three");

    three.leave();
    one.leave();
    std::cout << "all left\n";
}
