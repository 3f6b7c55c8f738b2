// dht.hpp: the distributed hash table of dht.h for C++17. Header only; link libdht.
//
// Values and answers are JSON text, as in dht.h, whose rules on options, units, threads and processes hold here too.
// Every failure is a dht::Error with the number of dht_status; a missing key is none.
#ifndef DHT_HPP
#define DHT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <iterator>
#include <locale>
#include <memory>
#include <optional>
#include <sstream>
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

// What is stored: the text of a JSON value, or bytes.
struct Value {
    std::string data;
    bool is_bytes = false;
};

// A value with what the ring knows of it.
struct Versioned {
    Value value;
    // What Expected::version takes.
    std::string version;
    // Unix seconds; nothing: it never expires.
    std::optional<double> expires_at;
};

// What became of a compare-and-swap. True if it swapped.
struct Swap {
    bool swapped;
    // Of the new value, or of what is there instead; empty if there never was a value.
    std::string version;
    // What is there instead; nothing if the new value is, or if there is none.
    std::optional<Value> value;

    explicit operator bool() const noexcept { return swapped; }
};

// What a compare-and-swap expects to find.
class Expected {
public:
    // No value: never put, deleted or expired.
    static Expected absent() { return Expected("{\"absent\":true}"); }
    // A value of exactly this version.
    static Expected version(const std::string &version) {
        // Quotes and signs before them have no place in a version, so that nothing has to be escaped.
        const bool odd = version.find_first_of("\"\\") != std::string::npos;
        return Expected("{\"version\":\"" + (odd ? std::string("?") : version) + "\"}");
    }
    // A value that is the same JSON, however it is written.
    static Expected value(const std::string &json) { return Expected("{\"value\":" + json + "}"); }
    // A value that is exactly these bytes.
    static Expected bytes(std::string_view bytes) {
        static const char digits[] = "0123456789abcdef";
        std::string hex;
        for (const char byte : bytes) {
            hex.push_back(digits[static_cast<unsigned char>(byte) >> 4]);
            hex.push_back(digits[static_cast<unsigned char>(byte) & 15]);
        }
        return Expected("{\"value\":\"" + hex + "\",\"format\":\"bytes\"}");
    }

    // As dht.h has it.
    const std::string &json() const noexcept { return json_; }

private:
    explicit Expected(std::string json) : json_(std::move(json)) {}
    std::string json_;
};

namespace detail {

// True, or false for what is not there; everything else throws.
template <typename Function>
bool call(Function function) {
    dht_error_t *raw = nullptr;
    dht_status status = function(&raw);
    std::unique_ptr<dht_error_t, decltype(&dht_error_free)> error(raw, dht_error_free);
    if (status == DHT_OK || status == DHT_NOT_FOUND) {
        return status == DHT_OK;
    }
    throw Error(status, dht_error_message(raw), dht_error_maybe_applied(raw));
}

// Takes over bytes of the library.
inline std::string take(std::uint8_t *bytes, std::size_t len) {
    auto free = [len](std::uint8_t *at) { dht_bytes_free(at, len); };
    std::unique_ptr<std::uint8_t, decltype(free)> owned(bytes, free);
    return std::string(reinterpret_cast<const char *>(bytes), len);
}

inline std::string take(char *text) {
    std::unique_ptr<char, decltype(&dht_string_free)> owned(text, dht_string_free);
    return std::string(text);
}

// A number of JSON, whatever the locale of the program.
inline double number(const std::string &json) {
    std::istringstream digits(json);
    digits.imbue(std::locale::classic());
    double number = 0;
    digits >> number;
    return number;
}

// The text of a member of an answer, up to what ends it. Answers have their value last, and nothing before it can hold a
// name in quotes.
inline std::string member(const std::string &answer, const std::string &name) {
    const std::string head = "\"" + name + "\":";
    const std::size_t at = answer.find(head) + head.size();
    return name == "value" ? answer.substr(at, answer.size() - at - 1) : answer.substr(at, answer.find(',', at) - at);
}

// Without its quotes; empty for null.
inline std::string text_member(const std::string &answer, const std::string &name) {
    const std::string text = member(answer, name);
    return text == "null" ? std::string() : text.substr(1, text.size() - 2);
}

inline std::optional<Value> value_member(const std::string &answer) {
    const std::string format = text_member(answer, "format"), value = member(answer, "value");
    if (format != "bytes") {
        return format.empty() ? std::nullopt : std::optional<Value>({value, false});
    }
    Value bytes{{}, true};
    for (std::size_t i = 1; i + 2 < value.size(); i += 2) {
        bytes.data.push_back(static_cast<char>(std::stoi(value.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

}  // namespace detail

// A key and its value, as a scan finds them.
struct Entry {
    std::string key;
    Value value;
};

// All keys of a prefix. Move-only; `for (const dht::Entry &entry : node.scan("user:"))`, once. After an error next() goes
// on where the scan was. It keeps no node running: when its node has gone, next() throws.
class Scan {
public:
    // The next one; nothing at the end.
    std::optional<Entry> next() {
        std::uint8_t *key = nullptr, *value = nullptr;
        std::size_t key_len = 0, value_len = 0;
        std::int32_t format = 0;
        const bool there = detail::call([&](dht_error_t **err) {
            return dht_scan_next(scan_.get(), &key, &key_len, &value, &value_len, &format, err);
        });
        if (!there) {
            return std::nullopt;
        }
        auto free_value = [value_len](std::uint8_t *at) { dht_bytes_free(at, value_len); };
        std::unique_ptr<std::uint8_t, decltype(free_value)> owned(value, free_value);
        Entry entry{detail::take(key, key_len), {}};
        entry.value = {detail::take(owned.release(), value_len), format == 1};
        return entry;
    }

    // What a range-for steps through.
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Entry;
        using difference_type = std::ptrdiff_t;
        using pointer = const Entry *;
        using reference = const Entry &;

        explicit Iterator(Scan *scan) : scan_(scan) { step(); }
        Iterator() = default;
        const Entry &operator*() const { return *entry_; }
        const Entry *operator->() const { return &*entry_; }
        Iterator &operator++() {
            step();
            return *this;
        }
        void operator++(int) { step(); }
        // Equal where both are at the end: all that a loop asks.
        friend bool operator==(const Iterator &a, const Iterator &b) { return !a.entry_ && !b.entry_; }
        friend bool operator!=(const Iterator &a, const Iterator &b) { return !(a == b); }

    private:
        void step() { entry_ = scan_->next(); }
        Scan *scan_ = nullptr;
        std::optional<Entry> entry_;
    };

    Iterator begin() { return Iterator(this); }
    Iterator end() { return Iterator(); }

private:
    friend class Node;
    struct Free {
        void operator()(dht_scan_t *scan) const noexcept { dht_scan_free(scan); }
    };
    explicit Scan(dht_scan_t *scan) : scan_(scan) {}
    std::unique_ptr<dht_scan_t, Free> scan_;
};

// One node. Move-only; its end is that of the node, as Node::stop. A node that was moved from has no handle: its calls
// throw DHT_INVALID_ARGUMENT. Keys are any bytes; but those of batches are texts in JSON.
class Node {
public:
    using milliseconds = std::chrono::milliseconds;

    // A node that is not started. `config_json`: an object with the keys of the configuration, which configuration.md in
    // share/doc/dht has with their defaults and bounds; empty: the defaults.
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
    // Hands over, says goodbye, ends. DHT_TIMEOUT: not everything was handed over; DHT_STOPPED: nor was it when another thread
    // stopped the node.
    void leave(milliseconds timeout = std::chrono::seconds(10)) {
        call([&](dht_error_t **err) { return dht_leave(get(), ms(timeout), err); });
    }
    // Joins the ring of one of `addresses`, "host:port" separated by commas.
    void join(const std::string &addresses) {
        call([&](dht_error_t **err) { return dht_join(get(), text(addresses), err); });
    }
    // Waits until it is joined and has caught up.
    void wait_ready(milliseconds timeout = std::chrono::seconds(30)) {
        call([&](dht_error_t **err) { return dht_wait_ready(get(), ms(timeout), err); });
    }

    // Stores JSON; answers the outcome {"version", "acks", "wanted", "set_size", "degraded"}.
    std::string put(std::string_view key, const std::string &value_json, const std::string &options_json = {}) {
        return answer([&](char **out, dht_error_t **err) {
            return dht_put_json(get(), bytes(key), key.size(), text(value_json, DHT_INVALID_VALUE),
                                options(options_json), out, err);
        });
    }
    // The same for a time, which must be above 0.
    std::string put_with_ttl(std::string_view key, const std::string &value_json, milliseconds ttl) {
        return put(key, value_json, "{\"ttl\":\"" + std::to_string(ms(ttl)) + "ms\"}");
    }
    // The JSON of a key; nothing if it has no value.
    std::optional<std::string> get(std::string_view key, const std::string &options_json = {}) const {
        char *found = nullptr;
        bool there = call([&](dht_error_t **err) {
            return dht_get_json(get(), bytes(key), key.size(), options(options_json), &found, err);
        });
        return there ? std::optional<std::string>(take(found)) : std::nullopt;
    }
    // Stores bytes.
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
        return take(found, len);
    }
    // The value of a key with its version and expiry; nothing if it has none.
    std::optional<Versioned> get_versioned(std::string_view key, const std::string &options_json = {}) const {
        char *found = nullptr;
        bool there = call([&](dht_error_t **err) {
            return dht_get_versioned_bytes(get(), bytes(key), key.size(), options(options_json), &found, err);
        });
        if (!there) {
            return std::nullopt;
        }
        const std::string answer = take(found), expires_at = detail::member(answer, "expires_at");
        Versioned versioned{*detail::value_member(answer), detail::text_member(answer, "version"), std::nullopt};
        if (expires_at != "null") {
            versioned.expires_at = detail::number(expires_at);
        }
        return versioned;
    }
    // Deletes a key (`delete` is a word of C++); true if it had a value.
    bool erase(std::string_view key, const std::string &options_json = {}) {
        bool existed = false;
        call([&](dht_error_t **err) {
            return dht_delete_bytes(get(), bytes(key), key.size(), options(options_json), &existed, err);
        });
        return existed;
    }
    bool contains(std::string_view key, const std::string &options_json = {}) const {
        bool there = false;
        call([&](dht_error_t **err) {
            return dht_contains_bytes(get(), bytes(key), key.size(), options(options_json), &there, err);
        });
        return there;
    }
    // How long a key still lives; nothing if it has no value or never expires.
    std::optional<milliseconds> ttl(std::string_view key) const {
        std::int64_t left = -1;
        call([&](dht_error_t **err) { return dht_ttl_ms_bytes(get(), bytes(key), key.size(), &left, err); });
        return left < 0 ? std::nullopt : std::optional<milliseconds>(left);
    }

    // Lets what is under a key live for this time from now, which must be above 0; true if there is a value.
    bool expire(std::string_view key, milliseconds ttl, const std::string &options_json = {}) {
        bool existed = false;
        call([&](dht_error_t **err) {
            return dht_expire_bytes(get(), bytes(key), key.size(), ms(ttl), options(options_json), &existed, err);
        });
        return existed;
    }
    // Lets it live for ever; true if there is a value that would have expired.
    bool persist(std::string_view key, const std::string &options_json = {}) {
        bool persisted = false;
        call([&](dht_error_t **err) {
            return dht_persist_bytes(get(), bytes(key), key.size(), options(options_json), &persisted, err);
        });
        return persisted;
    }

    // Stores JSON if what is there is as expected. If not, nothing is written, and the answer has what is there.
    Swap compare_and_swap(std::string_view key, const Expected &expected, const std::string &value_json,
                          const std::string &options_json = {}) {
        return swap(answer([&](char **out, dht_error_t **err) {
            return dht_compare_and_swap_json(get(), bytes(key), key.size(), text(expected.json()),
                                             text(value_json, DHT_INVALID_VALUE), options(options_json), out, err);
        }));
    }
    // The same for bytes.
    Swap compare_and_swap_bytes(std::string_view key, const Expected &expected, std::string_view value,
                                const std::string &options_json = {}) {
        return swap(answer([&](char **out, dht_error_t **err) {
            return dht_compare_and_swap_bytes(get(), bytes(key), key.size(), text(expected.json()), bytes(value),
                                              value.size(), options(options_json), out, err);
        }));
    }
    // Stores JSON if there is no value.
    Swap put_if_absent(std::string_view key, const std::string &value_json, const std::string &options_json = {}) {
        return swap(answer([&](char **out, dht_error_t **err) {
            return dht_put_if_absent_json(get(), bytes(key), key.size(), text(value_json, DHT_INVALID_VALUE),
                                          options(options_json), out, err);
        }));
    }
    // The same for bytes.
    Swap put_if_absent_bytes(std::string_view key, std::string_view value, const std::string &options_json = {}) {
        return compare_and_swap_bytes(key, Expected::absent(), value, options_json);
    }
    // Adds to the number under a key, 0 if there is none; answers the sum. DHT_WRONG_FORMAT if it is no number, or a float.
    std::int64_t increment(std::string_view key, std::int64_t by = 1, const std::string &options_json = {}) {
        return std::stoll(sum(key, std::to_string(by), options_json));
    }
    // The same for a float, which makes the value a float.
    double increment_float(std::string_view key, double by, const std::string &options_json = {}) {
        // All its digits, and an exponent, so that it is a float also where it has no fraction.
        std::ostringstream digits;
        digits.imbue(std::locale::classic());
        digits << std::scientific << std::setprecision(17) << by;
        return detail::number(sum(key, digits.str(), options_json));
    }
    // Stores JSON; answers what was there before, nothing if there was none. DHT_WRONG_FORMAT if that is bytes: the new
    // value is stored nevertheless.
    std::optional<std::string> get_and_put(std::string_view key, const std::string &value_json,
                                           const std::string &options_json = {}) {
        char *before = nullptr;
        call([&](dht_error_t **err) {
            return dht_get_and_put_json(get(), bytes(key), key.size(), text(value_json, DHT_INVALID_VALUE),
                                        options(options_json), &before, err);
        });
        return before != nullptr ? std::optional<std::string>(take(before)) : std::nullopt;
    }
    // The same for bytes; of JSON, its text.
    std::optional<std::string> get_and_put_bytes(std::string_view key, std::string_view value,
                                                 const std::string &options_json = {}) {
        std::uint8_t *before = nullptr;
        std::size_t len = 0;
        call([&](dht_error_t **err) {
            return dht_get_and_put_bytes(get(), bytes(key), key.size(), bytes(value), value.size(),
                                         options(options_json), &before, &len, err);
        });
        return before != nullptr ? std::optional<std::string>(take(before, len)) : std::nullopt;
    }
    // Deletes a key; answers what was there. DHT_WRONG_FORMAT if that is bytes: it is deleted nevertheless.
    std::optional<std::string> get_and_delete(std::string_view key, const std::string &options_json = {}) {
        char *before = nullptr;
        bool there = call([&](dht_error_t **err) {
            return dht_get_and_delete_json(get(), bytes(key), key.size(), options(options_json), &before, err);
        });
        return there ? std::optional<std::string>(take(before)) : std::nullopt;
    }
    // The same for bytes; of JSON, its text.
    std::optional<std::string> get_and_delete_bytes(std::string_view key, const std::string &options_json = {}) {
        std::uint8_t *before = nullptr;
        std::size_t len = 0;
        bool there = call([&](dht_error_t **err) {
            return dht_get_and_delete_bytes(get(), bytes(key), key.size(), options(options_json), &before, &len, err);
        });
        return there ? std::optional<std::string>(take(before, len)) : std::nullopt;
    }

    // All keys that begin with a prefix, in no order; the timeout in the options is that of each page.
    Scan scan(std::string_view prefix = {}, const std::string &options_json = {}) const {
        dht_scan_t *made = nullptr;
        call([&](dht_error_t **err) {
            return dht_scan(get(), bytes(prefix), prefix.size(), options(options_json), &made, err);
        });
        return Scan(made);
    }
    // How many keys begin with a prefix, counted one by one.
    std::uint64_t count(std::string_view prefix = {}) const {
        std::uint64_t number = 0;
        call([&](dht_error_t **err) { return dht_count(get(), bytes(prefix), prefix.size(), &number, err); });
        return number;
    }
    // About how many keys there are, from what this node holds.
    std::uint64_t len() const {
        std::uint64_t number = 0;
        call([&](dht_error_t **err) { return dht_len(get(), &number, err); });
        return number;
    }
    // Deletes all keys that begin with a prefix; answers how many.
    std::uint64_t clear(std::string_view prefix = {}) {
        std::uint64_t number = 0;
        call([&](dht_error_t **err) { return dht_clear(get(), bytes(prefix), prefix.size(), &number, err); });
        return number;
    }

    // Batches: JSON in, results per key out, as dht.h says.
    std::string put_many(const std::string &entries_json, const std::string &options_json = {}) {
        return answer([&](char **out, dht_error_t **err) {
            return dht_put_many_with(get(), text(entries_json), options(options_json), out, err);
        });
    }
    std::string get_many(const std::string &keys_json, const std::string &options_json = {}) const {
        return answer([&](char **out, dht_error_t **err) {
            return dht_get_many_with(get(), text(keys_json), options(options_json), out, err);
        });
    }
    // As get_many, each value with its version and expiry: bytes too, as hexadecimal digits.
    std::string get_many_versioned(const std::string &keys_json, const std::string &options_json = {}) const {
        return answer([&](char **out, dht_error_t **err) {
            return dht_get_many_versioned(get(), text(keys_json), options(options_json), out, err);
        });
    }
    std::string delete_many(const std::string &keys_json, const std::string &options_json = {}) {
        return answer([&](char **out, dht_error_t **err) {
            return dht_delete_many_with(get(), text(keys_json), options(options_json), out, err);
        });
    }

    // The id of a key, lower-case hexadecimal; before start too.
    std::string hash_key(std::string_view key) const {
        return answer([&](char **out, dht_error_t **err) {
            return dht_hash_key_bytes(get(), bytes(key), key.size(), out, err);
        });
    }
    // What the node tells, as JSON.
    std::string locate(std::string_view key) const {
        return answer([&](char **out, dht_error_t **err) {
            return dht_locate_bytes(get(), bytes(key), key.size(), out, err);
        });
    }
    // The way to the owner of a key; asks other nodes.
    std::string lookup_trace(std::string_view key) const {
        return answer([&](char **out, dht_error_t **err) {
            return dht_lookup_trace_bytes(get(), bytes(key), key.size(), out, err);
        });
    }
    // Reads a key, and tells what every node did for that.
    std::string trace(std::string_view key, const std::string &options_json = {}) const {
        return answer([&](char **out, dht_error_t **err) {
            return dht_trace_bytes(get(), bytes(key), key.size(), options(options_json), out, err);
        });
    }
    // The records of this node in a new file; those of such a file back into the ring. What was done, as JSON.
    std::string snapshot(const std::string &path) const {
        return answer([&](char **out, dht_error_t **err) { return dht_snapshot(get(), text(path), out, err); });
    }
    std::string restore(const std::string &path) {
        return answer([&](char **out, dht_error_t **err) { return dht_restore(get(), text(path), out, err); });
    }
    std::string node_info() const { return told(dht_node_info); }
    std::string predecessor() const { return told(dht_predecessor); }
    std::string successor_list() const { return told(dht_successor_list); }
    std::string finger_table() const { return told(dht_finger_table); }
    std::string ring() const { return told(dht_ring); }
    std::string members() const { return told(dht_members); }
    std::string statistics() const { return told(dht_statistics); }
    std::string health() const { return told(dht_health); }
    // Statistics, health and members by state, as text in Prometheus' exposition format.
    std::string metrics() const { return told(dht_metrics); }

private:
    struct Free {
        void operator()(dht_t *node) const noexcept { dht_free(node); }
    };
    std::unique_ptr<dht_t, Free> node_;

    dht_t *get() const noexcept { return node_.get(); }

    template <typename Function>
    static bool call(Function function) {
        return detail::call(function);
    }
    template <typename... Parts>
    static std::string take(Parts... parts) {
        return detail::take(parts...);
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

    static Swap swap(const std::string &answer) {
        return {detail::member(answer, "swapped") == "true", detail::text_member(answer, "version"),
                detail::value_member(answer)};
    }

    std::string sum(std::string_view key, const std::string &by, const std::string &options_json) {
        return answer([&](char **out, dht_error_t **err) {
            return dht_increment_bytes(get(), bytes(key), key.size(), by.c_str(), options(options_json), out, err);
        });
    }

    // A NUL inside would cut the text short without a word.
    static const char *text(const std::string &text, dht_status otherwise = DHT_INVALID_ARGUMENT) {
        if (text.find('\0') != std::string::npos) {
            const std::string name = dht_status_name(static_cast<std::int32_t>(otherwise));
            throw Error(otherwise, name + ": the text holds a NUL", false);
        }
        return text.c_str();
    }
    static const char *options(const std::string &json) { return json.empty() ? nullptr : text(json); }
    static const std::uint8_t *bytes(std::string_view bytes) {
        return reinterpret_cast<const std::uint8_t *>(bytes.data());
    }
    static std::uint64_t ms(milliseconds time) {
        return time.count() < 0 ? 0 : static_cast<std::uint64_t>(time.count());
    }
};

}  // namespace dht

#endif
