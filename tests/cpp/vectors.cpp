// The vectors in tests/vectors, which every language runs, and wrong input that other nodes or the machine make wrong.
// The JSON reader is that of the C tests.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <dht.hpp>

extern "C" {
#include "../c/json.h"
}

#include "check.hpp"

namespace {

std::string file_text(const std::string &name) {
    const char *folder = std::getenv("DHT_VECTORS");
    std::ifstream file((folder != nullptr ? folder : "tests/vectors") + ("/" + name));
    CHECK(file.good());
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// One file of vectors.
struct Vectors {
    std::string text;
    json all;

    explicit Vectors(const std::string &name) : text(file_text(name)), all(json_read(text.c_str())) {}
    Vectors(const Vectors &) = delete;
    ~Vectors() { json_free(&all); }
};

std::string text_of(const json &value) {
    CHECK(value.kind == JSON_STRING);
    return std::string(value.text, value.len);
}

std::string from_hex(const std::string &hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

// {"text"} or {"hex"}, or {"parts": [[text or hex, count], ...]} with {"encoding"}; empty if there is none.
std::string content(const json *of) {
    if (of == nullptr) {
        return {};
    }
    if (const json *text = json_member(of, "text")) {
        return text_of(*text);
    }
    if (const json *hex = json_member(of, "hex")) {
        return from_hex(text_of(*hex));
    }
    const json *parts = json_at(of, "parts");
    const bool hex = std::string(json_text(of, "encoding")) == "hex";
    std::string all;
    for (std::size_t i = 0; i < parts->len; i++) {
        const json &part = parts->items[i];
        const std::string piece = hex ? from_hex(text_of(part.items[0])) : text_of(part.items[0]);
        for (double n = part.items[1].number; n > 0; n--) {
            all += piece;
        }
    }
    return all;
}

dht_status code_of(const std::string &name) {
    for (std::int32_t code = 0; code < 64; code++) {
        if (name == dht_status_name(code)) {
            return static_cast<dht_status>(code);
        }
    }
    CHECK(!"no status has this name");
    std::abort();
}

void values(dht::Node &node) {
    const Vectors vectors("values.json");
    const json *list = json_at(&vectors.all, "values"), *keys = json_at(&vectors.all, "keys");
    for (std::size_t i = 0; i < list->len; i++) {
        const json &one = list->items[i];
        const std::string name = json_text(&one, "name"), value = content(&one);
        if (std::string(json_text(&one, "format")) == "json") {
            node.put(name, value);
            CHECK(node.get(name) == value);
        } else {
            node.put_bytes(name, value);
            throws(DHT_WRONG_FORMAT, [&] { node.get(name); });
        }
        CHECK(node.get_bytes(name) == value);
    }
    for (std::size_t i = 0; i < keys->len; i++) {
        const std::string key = content(&keys->items[i]), value = std::to_string(i);
        node.put_bytes(key, value);
        CHECK(node.get_bytes(key) == value);
    }
    CHECK(list->len > 20 && keys->len > 5);
}

void hash_ids() {
    const Vectors vectors("hash_ids.json");
    for (std::size_t i = 0; i < vectors.all.len; i++) {
        const json &one = vectors.all.items[i];
        const json *config = json_at(&one, "config");
        const dht::Node node(std::string(config->from, config->from_len));
        CHECK(node.hash_key(json_text(&one, "key")) == json_text(&one, "id"));
    }
    CHECK(vectors.all.len > 20);
}

void error_case(dht::Node &node, const json &one) {
    const std::string op = json_text(&one, "op");
    const dht_status expected = code_of(json_text(&one, "error"));
    const std::string key = content(json_member(&one, "key")), input = content(json_member(&one, "input"));
    if (op == "new") {
        // In C++ no configuration is the default one.
        if (!input.empty()) {
            throws(expected, [&] { dht::Node none(input); });
        }
    } else if (op == "put_json") {
        throws(expected, [&] { node.put(key, input); });
    } else if (op == "put_bytes") {
        throws(expected, [&] { node.put_bytes(key, input); });
    } else if (op == "get") {
        throws(expected, [&] { node.get_bytes(key); });
    } else if (op == "put_options" || op == "get_options") {
        // Nor are empty options options.
        if (!input.empty()) {
            throws(expected, [&] { op == "put_options" ? void(node.put("k", "1", input)) : void(node.get("k", input)); });
        }
    } else if (op == "join") {
        throws(expected, [&] { node.join(input); });
    } else {
        CHECK(op == "get_bytes_as_json");
        node.put_bytes(key, input);
        throws(expected, [&] { node.get(key); });
    }
}

void errors(dht::Node &node) {
    const Vectors vectors("errors.json");
    const json *numbers = json_at(&vectors.all, "numbers"), *cases = json_at(&vectors.all, "cases");
    for (std::size_t i = 0; i < numbers->len; i++) {
        CHECK(code_of(numbers->names[i]) == static_cast<dht_status>(numbers->items[i].number));
    }
    for (std::size_t i = 0; i < cases->len; i++) {
        error_case(node, cases->items[i]);
    }
    CHECK(numbers->len == 28 && cases->len > 20);
}

void ttls(dht::Node &node) {
    const Vectors vectors("ttl.json");
    for (std::size_t i = 0; i < vectors.all.len; i++) {
        const json &one = vectors.all.items[i];
        const json *ttl = json_at(&one, "ttl"), *seconds = json_member(&one, "seconds");
        const std::string options = "{\"ttl\": " + std::string(ttl->from, ttl->from_len) + "}";
        if (seconds == nullptr) {
            throws(code_of(json_text(&one, "error")), [&] { node.put("ttl", "1", options); });
            continue;
        }
        node.put("ttl", "1", options);
        const std::optional<std::chrono::milliseconds> left = node.ttl("ttl");
        CHECK(left.has_value() == (seconds->kind != JSON_NULL));
        if (left) {
            // At most what was given, and not yet much less.
            const double most = seconds->number * 1000;
            CHECK(double(left->count()) <= most + 1 && double(left->count()) > most - 10000);
        }
    }
    CHECK(vectors.all.len > 10);
}

void batches(dht::Node &node) {
    const Vectors vectors("batches.json");
    for (std::size_t i = 0; i < vectors.all.len; i++) {
        const json &one = vectors.all.items[i];
        const json *found = json_at(&one, "found"), *deleted = json_at(&one, "deleted");
        node.put_many(json_text(&one, "entries"));
        const std::string got = node.get_many(json_text(&one, "keys"));
        json read = json_read(got.c_str());
        CHECK(read.len == found->len);
        for (std::size_t k = 0; k < found->len; k++) {
            const json *value = json_at(&read.items[k], "ok");
            CHECK(std::string(read.names[k]) == text_of(found->items[k].items[0]));
            CHECK(std::string(value->from, value->from_len) == text_of(found->items[k].items[1]));
        }
        json_free(&read);
        const std::string gone = node.delete_many(json_text(&one, "keys"));
        read = json_read(gone.c_str());
        CHECK(read.len == deleted->len);
        for (std::size_t k = 0; k < deleted->len; k++) {
            CHECK(json_at(json_at(&read, deleted->names[k]), "ok")->number == deleted->items[k].number);
        }
        json_free(&read);
    }
    CHECK(vectors.all.len > 2);
}

// The JSON text of one member, or the bytes of the other; nothing if it is null.
std::optional<dht::Value> stored(const json &step, const char *text, const char *hex) {
    if (const json *found = json_member(&step, text)) {
        return found->kind == JSON_NULL ? std::nullopt : std::optional<dht::Value>({text_of(*found), false});
    }
    const json *found = json_member(&step, hex);
    return found == nullptr ? std::nullopt : std::optional<dht::Value>({from_hex(text_of(*found)), true});
}

dht::Expected expected_of(const json &step, const std::map<std::string, std::string> &versions) {
    const json *expected = json_at(&step, "expected");
    if (json_member(expected, "absent") != nullptr) {
        return dht::Expected::absent();
    }
    if (json_member(expected, "version_of") != nullptr) {
        return dht::Expected::version(versions.at(json_text(expected, "version_of")));
    }
    const dht::Value value = *stored(*expected, "value", "hex");
    return value.is_bytes ? dht::Expected::bytes(value.data) : dht::Expected::value(value.data);
}

void atomic_step(dht::Node &node, const json &step, std::map<std::string, std::string> &versions) {
    const std::string op = json_text(&step, "op"), key = json_text(&step, "key");
    const std::optional<dht::Value> value = stored(step, "value", "hex");
    const json *ttl = json_member(&step, "ttl"), *error = json_member(&step, "error");
    const std::string options = ttl == nullptr ? "" : "{\"ttl\": " + std::string(ttl->from, ttl->from_len) + "}";
    const auto flag = [&](bool answer) { CHECK(answer == (json_at(&step, "existed")->number == 1)); };
    const auto previous = [&](const std::optional<std::string> &before) {
        const std::optional<dht::Value> told = stored(step, "previous", "none");
        CHECK(before.has_value() == told.has_value() && (!before || *before == told->data));
    };
    const auto swapped = [&](const dht::Swap &swap) {
        CHECK(bool(swap) == (json_at(&step, "swapped")->number == 1));
        const std::optional<dht::Value> found = stored(step, "found", "found_hex");
        CHECK(swap.value.has_value() == found.has_value());
        CHECK(!found || (swap.value->data == found->data && swap.value->is_bytes == found->is_bytes));
        if (const json *name = json_member(&step, "name")) {
            versions[text_of(*name)] = swap.version;
        }
    };
    if (op == "put") {
        node.put(key, value->data);
    } else if (op == "put_bytes") {
        node.put_bytes(key, value->data);
        if (const json *name = json_member(&step, "name")) {
            versions[text_of(*name)] = node.get_versioned(key)->version;
        }
    } else if (op == "delete") {
        flag(node.erase(key));
    } else if (op == "put_if_absent") {
        swapped(node.put_if_absent(key, value->data, options));
    } else if (op == "compare_and_swap") {
        const dht::Expected expected = expected_of(step, versions);
        swapped(value->is_bytes ? node.compare_and_swap_bytes(key, expected, value->data, options)
                                : node.compare_and_swap(key, expected, value->data, options));
    } else if (op == "increment") {
        const std::string by = json_text(&step, "by");
        const bool whole = by.find_first_of(".eE") == std::string::npos;
        if (error != nullptr) {
            throws(code_of(text_of(*error)), [&] {
                whole ? void(node.increment(key, std::stoll(by))) : void(node.increment_float(key, std::stod(by)));
            });
        } else if (whole) {
            CHECK(node.increment(key, std::stoll(by)) == std::stoll(json_text(&step, "sum")));
        } else {
            CHECK(node.increment_float(key, std::stod(by)) == std::stod(json_text(&step, "sum")));
        }
    } else if (op == "get_and_put") {
        previous(node.get_and_put(key, value->data, options));
    } else if (op == "get_and_delete") {
        previous(node.get_and_delete(key));
    } else if (op == "expire") {
        flag(node.expire(key, std::chrono::seconds(static_cast<long>(ttl->number))));
    } else if (op == "persist") {
        flag(node.persist(key));
    } else {
        CHECK(op == "ttl");
        const json *most = json_at(&step, "lives_at_most");
        const std::optional<std::chrono::milliseconds> left = node.ttl(key);
        CHECK(left.has_value() == (most->kind != JSON_NULL));
        CHECK(!left || (left->count() > 0 && double(left->count()) <= most->number * 1000));
    }
}

void atomic(dht::Node &node) {
    const Vectors vectors("atomic.json");
    std::map<std::string, std::string> versions;
    for (std::size_t i = 0; i < vectors.all.len; i++) {
        atomic_step(node, vectors.all.items[i], versions);
    }
    CHECK(vectors.all.len > 40 && versions.size() > 2);
}

} // namespace

void vectors() {
    dht::Node node;
    node.start();
    hash_ids();
    values(node);
    errors(node);
    ttls(node);
    batches(node);
    atomic(node);
}

void wrong_input() {
    dht::Node there("{\"node_id\": \"there\"}");
    there.start();
    const std::string address = address_of(there), port = address.substr(address.rfind(':') + 1);
    const std::string seeds = "\"seeds\": [\"" + address + "\"]";
    const auto starts = [](dht_status expected, const std::string &config) {
        dht::Node node(config);
        throws(expected, [&] { node.start(); });
    };
    starts(DHT_ADDRESS, "{\"port\": " + port + "}");
    starts(DHT_ADDRESS, "{\"seeds\": [\"no-such-host.invalid:1\"]}");
    starts(DHT_INCOMPATIBLE_RING, "{" + seeds + ", \"hash_bits\": 64}");
    starts(DHT_NODE_ID_IN_USE, "{" + seeds + ", \"node_id\": \"there\"}");
    throws(DHT_INVALID_ARGUMENT, [&] { there.join(address); });
    throws(DHT_UNREACHABLE, [&] {
        dht::Node node("{\"request_timeout\": 0.2, \"max_retries\": 0}");
        node.start();
        node.join("127.0.0.1:1");
    });
    there.put("k", "1");
    CHECK(there.get("k") == "1");
}
