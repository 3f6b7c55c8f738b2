// The C++ face: what it adds to the C one, which has its own tests.
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <dht.hpp>

#include "check.hpp"

static void data() {
    using namespace std::chrono_literals;
    dht::Node node;
    CHECK(node.hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a3");
    throws(DHT_NOT_STARTED, [&] { node.get("k"); });
    throws(DHT_NOT_STARTED, [&] { node.metrics(); });
    node.start();
    CHECK(!node.get("k"));
    CHECK(node.put("k", "[1, 2]").find("\"version\"") != std::string::npos);
    CHECK(node.get("k") == "[1, 2]" && node.get("k", "{\"consistency\": \"one\"}") == "[1, 2]");
    CHECK(node.contains("k") && !node.ttl("k"));
    CHECK(node.erase("k") && !node.erase("k") && !node.contains("k"));
    node.put_with_ttl("t", "1", 1h);
    CHECK(node.ttl("t") && *node.ttl("t") > 59min && *node.ttl("t") <= 1h);
    std::string bytes("\0\xff\0", 3);
    node.put_bytes(bytes, bytes);
    node.put_bytes("", "");
    CHECK(node.get_bytes(bytes) == bytes && node.get_bytes("") == "" && !node.get_bytes("none"));
    throws(DHT_WRONG_FORMAT, [&] { node.get(""); });
    throws(DHT_INVALID_VALUE, [&] { node.put("k", "NaN"); });
    throws(DHT_INVALID_VALUE, [&] { node.put("k", std::string("1\0", 2)); });
    throws(DHT_INVALID_ARGUMENT, [&] { node.put("k", "1", "{\"ttl\": 0}"); });
    throws(DHT_INVALID_ARGUMENT, [&] { node.put_with_ttl("k", "1", -1s); });
    throws(DHT_TOO_LARGE, [&] { node.get(std::string(5000, 'k')); });
    throws(DHT_CONFIG, [] { dht::Node wrong("{\"prot\": 1}"); });
    CHECK(node.put_many("{\"a\": 1, \"b\": 2}").find("\"ok\"") != std::string::npos);
    CHECK(node.get_many("[\"b\", \"none\"]") == "{\"b\":{\"ok\":2}}");
    CHECK(node.delete_many("[\"b\"]") == "{\"b\":{\"ok\":true}}");
    CHECK(node.predecessor() == "null" && node.successor_list() == "[]");
    CHECK(node.statistics().find("stores_successful") != std::string::npos);
    CHECK(node.health().find("\"joined\":true") != std::string::npos);
    CHECK(node.metrics().find("\ndht_joined 1\n") != std::string::npos);
    CHECK(!node.ring().empty() && !node.members().empty() && !node.finger_table().empty() && !node.locate("k").empty());
    std::string trace = node.lookup_trace("abc");
    CHECK(trace.find("{\"key_id\":\"" + node.hash_key("abc") + "\"") == 0);
    CHECK(trace.find("\"hops\":[],\"one_hop\":true") != std::string::npos);
    CHECK(node.trace("abc").find("\"what\":\"fetch\"") != std::string::npos);
    CHECK(node.trace("abc", "{\"consistency\": \"all\"}").find("\"level\":\"all\"") != std::string::npos);
    throws(DHT_INVALID_ARGUMENT, [&] { node.trace("abc", "{\"ttl\": 1}"); });
    throws(DHT_INVALID_ARGUMENT, [&] { node.snapshot("/"); });
    throws(DHT_STORAGE, [&] { node.restore("/no/such/file"); });
    node.stop();
    node.leave();
    throws(DHT_STOPPED, [&] { node.get("k"); });
    throws(DHT_STOPPED, [&] { node.metrics(); });
    throws(DHT_STOPPED, [&] { node.start(); });
}

static void atomic() {
    using namespace std::chrono_literals;
    dht::Node node;
    node.start();
    CHECK(!node.get_versioned("k"));
    const dht::Swap first = node.put_if_absent("k", "[1]", "{\"ttl\": 60}");
    CHECK(first && !first.value);
    const std::optional<dht::Versioned> found = node.get_versioned("k", "{\"consistency\": \"one\"}");
    CHECK(found && found->value.data == "[1]" && !found->value.is_bytes && found->version == first.version);
    CHECK(found->expires_at && *found->expires_at > 1e9);
    const dht::Swap second = node.compare_and_swap("k", dht::Expected::version(found->version), "{\"value\": \",\"}");
    CHECK(second && second.version > first.version && !node.ttl("k"));
    const dht::Swap third = node.compare_and_swap("k", dht::Expected::absent(), "3");
    CHECK(!third && third.version == second.version && third.value->data == "{\"value\": \",\"}");
    const std::string bytes("\0\xff", 2);
    CHECK(node.compare_and_swap_bytes(bytes, dht::Expected::absent(), bytes));
    CHECK(node.get_versioned(bytes)->value.data == bytes && node.get_versioned(bytes)->value.is_bytes);
    CHECK(!node.get_versioned(bytes)->expires_at);
    CHECK(!node.compare_and_swap_bytes(bytes, dht::Expected::bytes("\1"), ""));
    CHECK(node.compare_and_swap_bytes(bytes, dht::Expected::bytes(bytes), ""));
    CHECK(node.get_and_put_bytes(bytes, "x") == "" && node.get_and_delete_bytes(bytes) == "x");
    CHECK(!node.get_and_put_bytes(bytes, "y") && node.erase(bytes) && !node.get_and_delete_bytes(bytes));
    CHECK(node.increment("n") == 1 && node.increment("n", -3) == -2 && node.increment_float("n", 2) == 0.0);
    throws(DHT_WRONG_FORMAT, [&] { node.increment("n"); });
    throws(DHT_INVALID_VALUE, [&] { node.increment_float("n", std::numeric_limits<double>::infinity()); });
    CHECK(node.increment_float("f", 0.1) == 0.1 && node.increment_float("f", 1e-300) == 0.1);
    CHECK(!node.get_and_put("t", "1") && node.get_and_put("t", "2") == "1" && node.get_and_delete("t") == "2");
    CHECK(!node.get_and_delete("t") && !node.expire("t", 1s) && !node.persist("t"));
    CHECK(node.expire("f", 1h) && *node.ttl("f") <= 1h && node.persist("f") && !node.ttl("f"));
    CHECK(node.expire("f", 1h, "{\"consistency\": \"all\"}") && node.persist("f", "{\"timeout\": 30}"));
    throws(DHT_INVALID_ARGUMENT, [&] { node.expire("f", 1h, "{\"consistency\": \"most\"}"); });
    throws(DHT_INVALID_ARGUMENT, [&] { node.persist("f", "{\"ttl\": 1}"); });
    for (const char *odd : {"", "\"", "\\", "1"}) {
        throws(DHT_INVALID_ARGUMENT, [&] { node.compare_and_swap("k", dht::Expected::version(odd), "1"); });
    }
    throws(DHT_INVALID_ARGUMENT, [&] { node.compare_and_swap("k", dht::Expected::value("{"), "1"); });
    throws(DHT_INVALID_ARGUMENT, [&] { node.expire("k", -1s); });
    throws(DHT_INVALID_ARGUMENT, [&] { node.erase("k", "{\"ttl\": 1}"); });
    CHECK(node.contains("k", "{\"consistency\": \"all\"}") && node.erase("k", "{\"consistency\": \"all\"}"));
    CHECK(node.put_many("{\"a\": 1}", "{\"ttl\": 60}").find("\"ok\"") != std::string::npos && node.ttl("a"));
    CHECK(node.get_many("[\"a\"]", "{\"timeout\": 1}") == "{\"a\":{\"ok\":1}}");
    throws(DHT_INVALID_ARGUMENT, [&] { node.delete_many("[\"a\"]", "{\"ttl\": 1}"); });
}

// Keys that a text cannot name, beside the text that a NUL would leave of them.
static void odd_keys() {
    using namespace std::chrono_literals;
    dht::Node node;
    CHECK(node.hash_key("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4");
    CHECK(node.hash_key(std::string("k\0a", 3)) == "44c338b548249880acdeb5c1947834915b4f2707");
    CHECK(node.hash_key("\xff\xfe") == "b3d510ef04275ca8e698e5b3cbb0ece3949ef925");
    node.start();
    node.put("k", "\"beside\"");
    for (const std::string &key : {std::string(), std::string("\0", 1), std::string("k\0a", 3), std::string("\xff\xfe")}) {
        CHECK(!node.contains(key) && !node.get(key) && !node.ttl(key) && !node.expire(key, 1s) && !node.persist(key));
        node.put(key, " [ 1 ] ", "{\"ttl\": 60}");
        CHECK(node.contains(key) && node.get(key) == " [ 1 ] " && node.ttl(key) <= 1min && node.persist(key));
        CHECK(!node.ttl(key) && node.expire(key, 1h) && *node.ttl(key) > 59min);
        node.put_with_ttl(key, "2", 90s);
        CHECK(node.ttl(key) && *node.ttl(key) <= 90s && *node.ttl(key) > 80s);
        throws(DHT_INVALID_ARGUMENT, [&] { node.put_with_ttl(key, "1", 0ms); });
        CHECK(!node.put_if_absent(key, "3") && node.compare_and_swap(key, dht::Expected::value("2"), "3"));
        CHECK(node.get_and_put(key, "4") == "3" && node.increment(key, 2) == 6 && node.increment_float(key, 0.5) == 6.5);
        CHECK(node.get_and_delete(key) == "6.5" && !node.get_and_delete(key) && !node.contains(key));
        CHECK(node.put_if_absent_bytes(key, key) && !node.put_if_absent_bytes(key, "") && node.get_bytes(key) == key);
        throws(DHT_WRONG_FORMAT, [&] { node.get(key); });
        const std::string id = "\"key_id\":\"" + node.hash_key(key) + "\"";
        CHECK(node.lookup_trace(key).find(id) != std::string::npos && node.trace(key).find(id) != std::string::npos);
        CHECK(node.trace(key).find("\"found\":true") != std::string::npos);
        CHECK(node.locate(key).find("\"state\":\"active\"") != std::string::npos);
        CHECK(node.erase(key) && node.put_if_absent(key, "1") && node.erase(key));
    }
    CHECK(node.get("k") == "\"beside\"" && node.count() == 1);
    node.put_bytes("raw", std::string("\0\xff", 2));
    const std::string all = node.get_many_versioned("[\"raw\", \"none\", \"k\"]", "{\"consistency\": \"one\"}");
    CHECK(all.find("{\"raw\":{\"ok\":{\"version\":\"") == 0 && all.find("none") == std::string::npos);
    CHECK(all.find("\"expires_at\":null,\"format\":\"bytes\",\"value\":\"00ff\"}}") != std::string::npos);
    CHECK(all.find("\"format\":\"json\",\"value\":\"beside\"}}}") != std::string::npos);
    throws(DHT_INVALID_ARGUMENT, [&] { node.get_many_versioned("[1]"); });
}

static void scans() {
    static_assert(!std::is_copy_constructible_v<dht::Scan> && std::is_nothrow_move_constructible_v<dht::Scan>);
    dht::Node node;
    node.start();
    std::map<std::string, std::string> kept;
    for (int i = 0; i < 300; i++) {
        const std::string key = "user:" + std::to_string(i);
        node.put(key, kept[key] = std::to_string(i));
    }
    const std::string odd("\0\xff", 2);
    node.put_bytes(odd, odd);
    std::map<std::string, std::string> found;
    for (const dht::Entry &entry : node.scan("user:")) {
        CHECK(!entry.value.is_bytes && found.emplace(entry.key, entry.value.data).second);
    }
    CHECK(found == kept);
    dht::Scan scan = node.scan(odd);
    dht::Scan moved(std::move(scan));
    const std::optional<dht::Entry> entry = moved.next();
    CHECK(entry && entry->key == odd && entry->value.data == odd && entry->value.is_bytes);
    CHECK(!moved.next() && !moved.next());
    throws(DHT_INVALID_ARGUMENT, [&] { scan.next(); });
    CHECK(node.count("user:") == 300 && node.count() == 301 && node.len() == 301);
    CHECK(node.clear("user:") == 300 && node.count() == 1 && node.clear() == 1);
    for (const dht::Entry &none : node.scan()) {
        CHECK(none.key.empty() && false);
    }
    dht::Scan left = node.scan();
    node.stop();
    throws(DHT_STOPPED, [&] { left.next(); });
    throws(DHT_STOPPED, [&] { node.scan(); });
}

static void moves() {
    static_assert(!std::is_copy_constructible_v<dht::Node> && !std::is_copy_assignable_v<dht::Node>);
    static_assert(std::is_nothrow_move_constructible_v<dht::Node> && std::is_nothrow_move_assignable_v<dht::Node>);
    dht::Node first;
    first.start();
    first.put("k", "1");
    dht::Node second(std::move(first));
    CHECK(second.get("k") == "1");
    throws(DHT_INVALID_ARGUMENT, [&] { first.get("k"); });
    dht::Node third;
    third = std::move(second);
    CHECK(third.get("k") == "1");
    std::vector<dht::Node> many;
    for (int i = 0; i < 10; i++) {
        many.emplace_back();
        many.back().start();
    }
}

static void joins() {
    dht::Node first("{\"node_id\": \"first\"}"), second("{\"node_id\": \"second\"}");
    first.start();
    second.start();
    second.join(address_of(first));
    second.wait_ready();
    first.wait_ready();
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([&, i] {
            for (int k = 0; k < 20; k++) {
                std::string key = std::to_string(i) + "/" + std::to_string(k);
                (k % 2 ? first : second).put(key, std::to_string(k));
                CHECK((k % 2 ? second : first).get(key) == std::to_string(k));
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    throws(DHT_INVALID_ARGUMENT, [&] { second.join("nonsense"); });
    second.leave();
    CHECK(first.get("0/0") == "0");
}

int main() {
    data();
    atomic();
    odd_keys();
    scans();
    moves();
    joins();
    vectors();
    wrong_input();
    std::puts("ok");
}
