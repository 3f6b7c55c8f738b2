/* Runs the themes named as arguments, or all. */
#include "check.h"
#include "json.h"

dht_t *started(const char *config_json) {
    dht_t *node = NULL;
    OK(dht_new(config_json, &node, &err));
    CHECK(node != NULL);
    OK(dht_start(node, &err));
    return node;
}

char *file_text(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text;
    long len;
    if (file == NULL) {
        perror(path);
        abort();
    }
    CHECK(fseek(file, 0, SEEK_END) == 0);
    len = ftell(file);
    CHECK(len >= 0);
    rewind(file);
    text = malloc((size_t)len + 1);
    CHECK(text != NULL && fread(text, 1, (size_t)len, file) == (size_t)len);
    text[len] = 0;
    fclose(file);
    return text;
}

char *address_of(dht_t *node) {
    char *info = NULL, *address;
    const char *text;
    json read;
    OK(dht_node_info(node, &info, &err));
    read = json_read(info);
    text = json_text(&read, "address");
    address = malloc(strlen(text) + 1);
    CHECK(address != NULL);
    strcpy(address, text);
    json_free(&read);
    dht_string_free(info);
    return address;
}

int holds(dht_t *node, const char *key, const char *value_json) {
    char *found = NULL;
    int same;
    OK(dht_get(node, key, &found, &err));
    same = strcmp(found, value_json) == 0;
    if (!same) {
        fprintf(stderr, "%s holds %s instead of %s\n", key, found, value_json);
    }
    dht_string_free(found);
    return same;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } themes[] = {
        /* First, while the process has no other threads. */
        {"processes", processes}, {"pipes", pipes},       {"logs", logs},         {"forks", forks},     {"life", life},
        {"data", data},           {"odd_keys", odd_keys}, {"atomic", atomic},     {"batches", batches}, {"scans", scans},
        {"nulls", nulls},         {"topology", topology}, {"threads", threads},   {"vectors", vectors}, {"wrong", wrong},
        {"secured", secured},     {"cycles", cycles},
    };
    size_t i, run = 0;
    for (i = 0; i < sizeof themes / sizeof themes[0]; i++) {
        int wanted = argc == 1, arg;
        for (arg = 1; arg < argc; arg++) {
            wanted |= strcmp(argv[arg], themes[i].name) == 0;
        }
        if (wanted) {
            printf("%s\n", themes[i].name);
            fflush(stdout);
            themes[i].run();
            run++;
        }
    }
    CHECK(run > 0);
    printf("ok: %lu themes\n", (unsigned long)run);
    return 0;
}
