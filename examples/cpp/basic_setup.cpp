// Basic setup: one node, which is a ring by itself; put, get, delete.
//
// c++ -std=c++17 basic_setup.cpp $(pkg-config --cflags --libs dht) && ./a.out [ADDRESS [PORT]]
#include <iostream>
#include <string>

#include <dht.hpp>

namespace {

// The number or text of a member, in the JSON that the library writes. A real program has a JSON library.
std::string member(const std::string &json, const std::string &name) {
    std::size_t at = json.find("\"" + name + "\":") + name.size() + 3;
    return json[at] == '"' ? json.substr(at + 1, json.find('"', at + 1) - at - 1)
                           : json.substr(at, json.find_first_of(",}", at) - at);
}

const char *yes(bool true_or_false) { return true_or_false ? "yes" : "no"; }

}  // namespace

int main(int argc, char **argv) try {
    const std::string address = argc > 1 ? argv[1] : "127.0.0.1";
    const std::string port = argc > 2 ? argv[2] : "0";  // 0: the system chooses one

    // Without seeds a node founds a ring of one, which serves at once. Its destructor stops it.
    dht::Node node(R"({"node_id": "alice", "address": ")" + address + R"(", "port": )" + port + "}");
    node.start();
    std::cout << "alice listens on " << member(node.node_info(), "address") << "\n";

    // A value is JSON text.
    const std::string outcome = node.put("greeting", R"("hello")");
    std::cout << "stored greeting on " << member(outcome, "acks") << " of " << member(outcome, "set_size")
              << " replicas\n";

    // A missing key is no error: a std::optional without a value.
    std::cout << "greeting is " << node.get("greeting").value() << "\n";
    std::cout << "missing is " << (node.get("missing") ? "there" : "not there") << "\n";

    std::cout << "greeting existed when it was deleted: " << yes(node.erase("greeting")) << "\n";
    std::cout << "greeting is still there: " << yes(node.contains("greeting")) << "\n";

    // Leaving hands over what only this node holds; with nobody to hand over to, it is done at once.
    node.leave();
    std::cout << "alice left\n";
    return 0;
} catch (const dht::Error &error) {
    std::cerr << error.what() << "\n";
    return error.code();
}
