// A ring of three nodes: here in one process, usually one in each of many. Every node reads what the others wrote.
//
// c++ -std=c++17 multi_node.cpp $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT OF THE FIRST NODE]]
#include <iostream>
#include <string>
#include <vector>

#include <dht.hpp>

namespace {

// The number or text of a member, in the JSON that the library writes. A real program has a JSON library.
std::string member(const std::string &json, const std::string &name) {
    std::size_t at = json.find("\"" + name + "\":") + name.size() + 3;
    return json[at] == '"' ? json.substr(at + 1, json.find('"', at + 1) - at - 1)
                           : json.substr(at, json.find_first_of(",}", at) - at);
}

int count(const std::string &json, const std::string &piece) {
    int found = 0;
    for (std::size_t at = json.find(piece); at != std::string::npos; at = json.find(piece, at + 1)) {
        found++;
    }
    return found;
}

}  // namespace

int main(int argc, char **argv) try {
    const std::string address = argc > 1 ? argv[1] : "127.0.0.1";
    std::string port = argc > 2 ? argv[2] : "0";
    const std::vector<std::string> names = {"one", "two", "three"};

    // The first node founds the ring; the others join through it. Any member would do as a seed.
    std::vector<dht::Node> nodes;
    std::string seed;
    for (const std::string &name : names) {
        dht::Node node(R"({"node_id": ")" + name + R"(", "address": ")" + address + R"(", "port": )" + port +
                       R"(, "seeds": [)" + seed + "]}");
        node.start();
        const std::string listens = member(node.node_info(), "address");
        std::cout << name << " listens on " << listens << "\n";
        if (nodes.empty()) {
            seed = "\"" + listens + "\"";
            port = "0";
        }
        nodes.push_back(std::move(node));
    }
    // Not needed for correct answers, only to see a ring that has come to rest.
    for (dht::Node &node : nodes) {
        node.wait_ready();
    }
    std::cout << "one sees a ring of " << count(nodes[0].ring(), "\"positions\":") << " nodes\n";

    for (std::size_t i = 0; i < nodes.size(); i++) {
        const std::string outcome = nodes[i].put("from " + names[i], "\"hello from " + names[i] + "\"");
        std::cout << names[i] << " wrote, and at least " << member(outcome, "wanted") << " of "
                  << member(outcome, "set_size") << " replicas have it\n";
    }
    for (std::size_t i = 0; i < nodes.size(); i++) {
        for (const std::string &writer : names) {
            std::cout << names[i] << " reads " << nodes[i].get("from " + writer).value() << "\n";
        }
    }
    std::cout << "\"from one\" is kept by " << count(nodes[1].locate("from one"), "\"address\":") << " nodes\n";

    // A node that leaves hands its data over first.
    nodes[2].leave();
    std::cout << "three left; one still reads " << nodes[0].get("from three").value() << "\n";
    for (dht::Node &node : nodes) {
        node.leave();
    }
    return 0;
} catch (const dht::Error &error) {
    std::cerr << error.what() << "\n";
    return error.code();
}
