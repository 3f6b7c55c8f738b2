// dht.hpp: the distributed hash table of dht.h for C++17. Header only; link libdht.
//
// Values and answers are JSON text, as in dht.h, whose rules on options, units, threads and processes hold here too.
// Every failure is a dht::Error with the number of dht_status; a missing key is none.
#ifndef DHT_HPP
#define DHT_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "dht.h"

namespace dht {

// Why a call failed.
class Error : public std::runtime_error {
public:
    Error(dht_status code, const std::string &message, bool maybe_applied)
        : std::runtime_error(message), code_(code), maybe_applied_(maybe_applied) {}

    // The number, as dht.h lists them.
    dht_status code() const noexcept { return code_; }
    // True where the outcome is unknown: it may have been applied, or may still be.
    bool maybe_applied() const noexcept { return maybe_applied_; }

private:
    dht_status code_;
    bool maybe_applied_;
};

// One node. Move-only; its end is that of the node, as Node::stop. A node that was moved from has no handle: its calls
// throw DHT_INVALID_ARGUMENT.
class Node {
public:
    using milliseconds = std::chrono::milliseconds;

    // A node that is not started. `config_json`: an object with the keys of the configuration; empty: the defaults.
    explicit Node(const std::string &config_json = {}) {
        dht_t *made = nullptr;
        call([&](dht_error_t **err) {
            return dht_new(config_json.empty() ? nullptr : text(config_json, DHT_CONFIG), &made, err);
        });
        node_.reset(made);
    }

    // Starts it; a no-op if it runs.
    void start() {
        call([&](dht_error_t **err) { return dht_start(get(), err); });
    }
    // Ends it at once: to the ring, a crash.
    void stop() {
        call([&](dht_error_t **err) { return dht_stop(get(), err); });
    }
    // Hands over, says goodbye, ends.
    void leave(milliseconds timeout = std::chrono::seconds(10)) {
        call([&](dht_error_t **err) { return dht_leave(get(), count(timeout), err); });
    }
    // Joins the ring of one of `addresses`, "host:port" separated by commas.
    void join(const std::string &addresses) {
        call([&](dht_error_t **err) { return dht_join(get(), text(addresses), err); });
    }
    // Waits until it is joined and has caught up.
    void wait_ready(milliseconds timeout = std::chrono::seconds(30)) {
        call([&](dht_error_t **err) { return dht_wait_ready(get(), count(timeout), err); });
    }

    // Stores JSON; answers the outcome {"version", "acks", "wanted", "set_size", "degraded"}.
    std::string put(const std::string &key, const std::string &value_json, const std::string &options_json = {}) {
        return answer([&](char **out, dht_error_t **err) {
            return dht_put_with(get(), text(key), text(value_json, DHT_INVALID_VALUE), options(options_json), out, err);
        });
    }
    // The same for a time, which must be above 0.
    std::string put_with_ttl(const std::string &key, const std::string &value_json, milliseconds ttl) {
        return answer([&](char **out, dht_error_t **err) {
            return dht_put_with_ttl(get(), text(key), text(value_json, DHT_INVALID_VALUE), count(ttl), out, err);
        });
    }
    // The JSON of a key; nothing if it has no value.
    std::optional<std::string> get(const std::string &key, const std::string &options_json = {}) const {
        char *found = nullptr;
        bool there = call([&](dht_error_t **err) {
            return dht_get_with(get(), text(key), options(options_json), &found, err);
        });
        return there ? std::optional<std::string>(take(found)) : std::nullopt;
    }
    // Stores bytes under a key of bytes.
    std::string put_bytes(std::string_view key, std::string_view value, const std::string &options_json = {}) {
        return answer([&](char **out, dht_error_t **err) {
            return dht_put_bytes(get(), bytes(key), key.size(), bytes(value), value.size(), options(options_json), out,
                                 err);
        });
    }
    // The bytes of a key, or the text of its JSON; nothing if it has no value.
    std::optional<std::string> get_bytes(std::string_view key, const std::string &options_json = {}) const {
        std::uint8_t *found = nullptr;
        std::size_t len = 0;
        bool there = call([&](dht_error_t **err) {
            return dht_get_bytes(get(), bytes(key), key.size(), options(options_json), &found, &len, err);
        });
        if (!there) {
            return std::nullopt;
        }
        auto free = [len](std::uint8_t *at) { dht_bytes_free(at, len); };
        std::unique_ptr<std::uint8_t, decltype(free)> owned(found, free);
        return std::string(reinterpret_cast<const char *>(found), len);
    }
    // Deletes a key (`delete` is a word of C++); true if it had a value.
    bool erase(const std::string &key) {
        bool existed = false;
        call([&](dht_error_t **err) { return dht_delete(get(), text(key), &existed, err); });
        return existed;
    }
    bool contains(const std::string &key) const {
        bool there = false;
        call([&](dht_error_t **err) { return dht_contains(get(), text(key), &there, err); });
        return there;
    }
    // How long a key still lives; nothing if it has no value or never expires.
    std::optional<milliseconds> ttl(const std::string &key) const {
        std::int64_t left = -1;
        call([&](dht_error_t **err) { return dht_ttl_ms(get(), text(key), &left, err); });
        return left < 0 ? std::nullopt : std::optional<milliseconds>(left);
    }

    // Batches: JSON in, results per key out, as dht.h says.
    std::string put_many(const std::string &entries_json) {
        return answer([&](char **out, dht_error_t **err) { return dht_put_many(get(), text(entries_json), out, err); });
    }
    std::string get_many(const std::string &keys_json) const {
        return answer([&](char **out, dht_error_t **err) { return dht_get_many(get(), text(keys_json), out, err); });
    }
    std::string delete_many(const std::string &keys_json) {
        return answer([&](char **out, dht_error_t **err) { return dht_delete_many(get(), text(keys_json), out, err); });
    }

    // The id of a key, lower-case hexadecimal; before start too.
    std::string hash_key(const std::string &key) const {
        return answer([&](char **out, dht_error_t **err) { return dht_hash_key(get(), text(key), out, err); });
    }
    // What the node tells, as JSON.
    std::string locate(const std::string &key) const {
        return answer([&](char **out, dht_error_t **err) { return dht_locate(get(), text(key), out, err); });
    }
    // The way to the owner of a key; asks other nodes.
    std::string lookup_trace(const std::string &key) const {
        return answer([&](char **out, dht_error_t **err) { return dht_lookup_trace(get(), text(key), out, err); });
    }
    std::string node_info() const { return told(dht_node_info); }
    std::string predecessor() const { return told(dht_predecessor); }
    std::string successor_list() const { return told(dht_successor_list); }
    std::string finger_table() const { return told(dht_finger_table); }
    std::string ring() const { return told(dht_ring); }
    std::string members() const { return told(dht_members); }
    std::string statistics() const { return told(dht_statistics); }
    std::string health() const { return told(dht_health); }

private:
    struct Free {
        void operator()(dht_t *node) const noexcept { dht_free(node); }
    };
    std::unique_ptr<dht_t, Free> node_;

    dht_t *get() const noexcept { return node_.get(); }

    // True, or false for a key that is not there; everything else throws.
    template <typename Function>
    static bool call(Function function) {
        dht_error_t *raw = nullptr;
        dht_status status = function(&raw);
        std::unique_ptr<dht_error_t, decltype(&dht_error_free)> error(raw, dht_error_free);
        if (status == DHT_OK || status == DHT_NOT_FOUND) {
            return status == DHT_OK;
        }
        throw Error(status, dht_error_message(raw), dht_error_maybe_applied(raw));
    }

    template <typename Function>
    static std::string answer(Function function) {
        char *out = nullptr;
        call([&](dht_error_t **err) { return function(&out, err); });
        return take(out);
    }

    std::string told(dht_status (*ask)(dht_t *, char **, dht_error_t **)) const {
        return answer([&](char **out, dht_error_t **err) { return ask(get(), out, err); });
    }

    static std::string take(char *text) {
        std::unique_ptr<char, decltype(&dht_string_free)> owned(text, dht_string_free);
        return std::string(text);
    }

    // A NUL inside would cut the text short without a word.
    static const char *text(const std::string &text, dht_status otherwise = DHT_INVALID_ARGUMENT) {
        if (text.find('\0') != std::string::npos) {
            throw Error(otherwise, std::string(dht_status_name(static_cast<std::int32_t>(otherwise))) +
                                       ": the text holds a NUL; keys of bytes go through put_bytes and get_bytes", false);
        }
        return text.c_str();
    }
    static const char *options(const std::string &json) { return json.empty() ? nullptr : text(json); }
    static const std::uint8_t *bytes(std::string_view bytes) {
        return reinterpret_cast<const std::uint8_t *>(bytes.data());
    }
    static std::uint64_t count(milliseconds time) {
        return time.count() < 0 ? 0 : static_cast<std::uint64_t>(time.count());
    }
};

}  // namespace dht

#endif
