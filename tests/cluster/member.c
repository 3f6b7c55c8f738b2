/* The C member of the ring of all languages. */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#include <dht.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        dht_error_t *err = NULL;                                                                                       \
        dht_status status = (call);                                                                                    \
        if (status != DHT_OK) {                                                                                        \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, dht_status_name(status), err ? dht_error_message(err) : "");\
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static const char options[] = "{\"consistency\": \"all\", \"timeout\": 30}";

/* The bytes of hexadecimal digits, with a NUL behind them; the caller frees them. */
static uint8_t *bytes_of(const char *hex, size_t *len) {
    size_t i;
    uint8_t *bytes;
    *len = strlen(hex) / 2;
    bytes = malloc(*len + 1);
    if (bytes == NULL) {
        abort();
    }
    for (i = 0; i < *len; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    bytes[*len] = 0;
    return bytes;
}

static void say(const char *format, const uint8_t *bytes, size_t len) {
    size_t i;
    printf("%s ", format);
    for (i = 0; i < len; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
}

static void put(dht_t *node, char *words) {
    /* Fields may be empty. */
    char *key_hex = strsep(&words, " "), *format = strsep(&words, " "), *value_hex = strsep(&words, " ");
    size_t key_len, value_len;
    uint8_t *key = bytes_of(key_hex, &key_len), *value = bytes_of(value_hex, &value_len);
    if (strcmp(format, "json") == 0) {
        OK(dht_put_with(node, (const char *)key, (const char *)value, options, NULL, &err));
    } else {
        OK(dht_put_bytes(node, key, key_len, value, value_len, options, NULL, &err));
    }
    free(key);
    free(value);
    printf("ok\n");
}

static void get(dht_t *node, char *words) {
    size_t key_len, value_len = 0;
    uint8_t *key = bytes_of(words, &key_len), *value = NULL;
    char *json = NULL;
    dht_error_t *err = NULL;
    dht_status status = strlen((const char *)key) == key_len ? dht_get(node, (const char *)key, &json, &err)
                                                            : DHT_WRONG_FORMAT;
    dht_error_free(err);
    if (status == DHT_OK) {
        say("json", (const uint8_t *)json, strlen(json));
        dht_string_free(json);
    } else if (status == DHT_NOT_FOUND) {
        printf("none\n");
    } else {
        OK(dht_get_bytes(node, key, key_len, NULL, &value, &value_len, &err));
        say("bytes", value, value_len);
        dht_bytes_free(value, value_len);
    }
    free(key);
}

static void increment(dht_t *node, char *words) {
    char *key_hex = strsep(&words, " "), *sum = NULL;
    size_t len;
    uint8_t *key = bytes_of(key_hex, &len);
    OK(dht_increment(node, (const char *)key, words, options, &sum, &err));
    printf("%s\n", sum);
    dht_string_free(sum);
    free(key);
}

static void compare_and_swap(dht_t *node, char *words) {
    char *key_hex = strsep(&words, " "), *expected_hex = strsep(&words, " "), *swap = NULL, *expected, *at;
    size_t key_len, expected_len, value_len;
    uint8_t *key = bytes_of(key_hex, &key_len), *value = bytes_of(words, &value_len);
    uint8_t *wanted = bytes_of(expected_hex, &expected_len);
    expected = malloc(expected_len + 32);
    if (expected == NULL) {
        abort();
    }
    sprintf(expected, expected_len > 0 ? "{\"value\": %s}" : "{\"absent\": true%s}", (const char *)wanted);
    OK(dht_compare_and_swap(node, (const char *)key, expected, (const char *)value, options, &swap, &err));
    at = strstr(swap, "\"value\":") + strlen("\"value\":");
    if (strncmp(swap, "{\"swapped\":true", 15) == 0) {
        printf("swapped\n");
    } else if (strstr(swap, "\"format\":null") != NULL) {
        printf("none\n");
    } else {
        say("json", (const uint8_t *)at, strlen(at) - 1);
    }
    dht_string_free(swap);
    free(expected);
    free(wanted);
    free(value);
    free(key);
}

int main(int argc, char **argv) {
    char config[512], *info = NULL, *line = NULL, *at;
    size_t size = 0;
    ssize_t len;
    dht_t *node = NULL;
    if (argc < 2) {
        fprintf(stderr, "arguments: a node_id and, if there is one, a seed\n");
        return 2;
    }
    snprintf(config, sizeof config, "{\"node_id\": \"%s\", \"seeds\": [%s%s%s]}", argv[1], argc > 2 ? "\"" : "",
             argc > 2 ? argv[2] : "", argc > 2 ? "\"" : "");
    OK(dht_new(config, &node, &err));
    OK(dht_start(node, &err));
    OK(dht_node_info(node, &info, &err));
    at = strstr(info, "\"address\":\"") + strlen("\"address\":\"");
    printf("address %.*s\n", (int)strcspn(at, "\""), at);
    dht_string_free(info);
    fflush(stdout);
    while ((len = getline(&line, &size, stdin)) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, "ready") == 0) {
            OK(dht_wait_ready(node, 60000, &err));
            printf("ok\n");
        } else if (strncmp(line, "put ", 4) == 0) {
            put(node, line + 4);
        } else if (strncmp(line, "get ", 4) == 0) {
            get(node, line + 4);
        } else if (strncmp(line, "increment ", 10) == 0) {
            increment(node, line + 10);
        } else if (strncmp(line, "cas ", 4) == 0) {
            compare_and_swap(node, line + 4);
        } else {
            printf("ok\n");
            fflush(stdout);
            break;
        }
        fflush(stdout);
    }
    free(line);
    dht_free(node);
    return 0;
}
