/* Five processes, one ring: each reads what every other wrote. Forked before any node exists. */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "json.h"

enum { NODES = 5 };

static void say(int to, const char *text) {
    size_t len = strlen(text) + 1;
    CHECK(write(to, text, len) == (ssize_t)len);
}

/* Up to a NUL, which every message ends with. */
static void hear(int from, char *text, size_t size) {
    size_t n = 0;
    do {
        CHECK(n < size && read(from, text + n, 1) == 1);
    } while (text[n++] != 0);
}

static void member(int number, int from, int to) {
    char seed[128], config[256], key[32], value[64], word[8];
    char *address, *results = NULL;
    dht_t *node;
    int i;
    alarm(120);
    hear(from, seed, sizeof seed);
    if (seed[0] == 0) {
        snprintf(config, sizeof config, "{\"node_id\": \"c%d\"}", number);
    } else {
        snprintf(config, sizeof config, "{\"node_id\": \"c%d\", \"seeds\": [\"%s\"]}", number, seed);
    }
    node = started(config);
    address = address_of(node);
    say(to, address);
    free(address);
    hear(from, word, sizeof word);
    OK(dht_wait_ready(node, 60000, &err));
    snprintf(key, sizeof key, "from %d", number);
    snprintf(value, sizeof value, "{\"process\": %d}", number);
    OK(dht_put_with(node, key, value, "{\"consistency\": \"all\", \"timeout\": 30}", NULL, &err));
    say(to, "wrote");
    hear(from, word, sizeof word);
    for (i = 0; i < NODES; i++) {
        snprintf(key, sizeof key, "from %d", i);
        snprintf(value, sizeof value, "{\"process\": %d}", i);
        CHECK(holds(node, key, value));
    }
    OK(dht_get_many(node, "[\"from 0\", \"from 1\", \"from 2\", \"from 3\", \"from 4\"]", &results, &err));
    {
        json read = json_read(results);
        CHECK(read.len == NODES);
        for (i = 0; i < NODES; i++) {
            CHECK(json_at(json_at(&read.items[i], "ok"), "process")->number == i);
        }
        json_free(&read);
        dht_string_free(results);
    }
    say(to, "read");
    hear(from, word, sizeof word);
    dht_free(node);
    _exit(0);
}

void processes(void) {
    int to[NODES], from[NODES], i;
    pid_t children[NODES];
    char first[128] = "", heard[128];
    for (i = 0; i < NODES; i++) {
        int down[2], up[2];
        CHECK(pipe(down) == 0 && pipe(up) == 0);
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i] == 0) {
            close(down[1]);
            close(up[0]);
            member(i, down[0], up[1]);
        }
        close(down[0]);
        close(up[1]);
        to[i] = down[1];
        from[i] = up[0];
        say(to[i], first);
        hear(from[i], heard, sizeof heard);
        if (i == 0) {
            memcpy(first, heard, sizeof first);
        }
    }
    for (i = 0; i < NODES; i++) {
        say(to[i], "write");
    }
    for (i = 0; i < NODES; i++) {
        hear(from[i], heard, sizeof heard);
    }
    for (i = 0; i < NODES; i++) {
        say(to[i], "read");
    }
    for (i = 0; i < NODES; i++) {
        hear(from[i], heard, sizeof heard);
    }
    for (i = 0; i < NODES; i++) {
        int status = 0;
        say(to[i], "end");
        CHECK(waitpid(children[i], &status, 0) == children[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        close(to[i]);
        close(from[i]);
    }
}
