/* A forked child is told at once, and can have nodes of its own. */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void in_child(dht_t *node) {
    dht_t *own = NULL;
    char *text = NULL;
    bool flag = false;
    alarm(10);
    FAILS(dht_get(node, "k", &text, &err), DHT_FORKED);
    FAILS(dht_put(node, "k", "2", NULL, &err), DHT_FORKED);
    FAILS(dht_contains(node, "k", &flag, &err), DHT_FORKED);
    FAILS(dht_hash_key(node, "k", &text, &err), DHT_FORKED);
    FAILS(dht_health(node, &text, &err), DHT_FORKED);
    FAILS(dht_start(node, &err), DHT_FORKED);
    FAILS(dht_join(node, "127.0.0.1:1", &err), DHT_FORKED);
    FAILS(dht_leave(node, 1000, &err), DHT_FORKED);
    FAILS(dht_stop(node, &err), DHT_FORKED);
    dht_free(node);
    FAILS(dht_get(node, "k", &text, &err), DHT_INVALID_ARGUMENT);
    own = started(NULL);
    OK(dht_put(own, "k", "3", NULL, &err));
    CHECK(holds(own, "k", "3"));
    dht_free(own);
    _exit(0);
}

void forks(void) {
    dht_t *node = started(NULL);
    int i;
    OK(dht_put(node, "k", "1", NULL, &err));
    for (i = 0; i < 20; i++) {
        int status = 0;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            in_child(node);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        CHECK(holds(node, "k", "1"));
    }
    dht_free(node);
}
