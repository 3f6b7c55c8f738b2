/* What nodes write to standard error: nothing unless they are told to. In a process of its own, whose it is alone. */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void put_and_trace(dht_t *node) {
    char *trace = NULL;
    OK(dht_put_with(node, "key", "1", "{\"consistency\": \"all\"}", NULL, &err));
    OK(dht_trace(node, "key", NULL, &trace, &err));
    dht_string_free(trace);
}

static void tell(void) {
    dht_t *silent = started("{\"node_id\": \"silent\"}"), *logging, *samples;
    char *address = address_of(silent), config[256];
    alarm(120);
    snprintf(config, sizeof config, "{\"node_id\": \"logs\", \"seeds\": [\"%s\"], \"enable_logging\": true}", address);
    logging = started(config);
    OK(dht_wait_ready(logging, 30000, &err));
    put_and_trace(silent);
    put_and_trace(logging);
    fprintf(stderr, "-- before\n");
    snprintf(config, sizeof config, "{\"node_id\": \"samples\", \"seeds\": [\"%s\"], \"trace_sample\": 1}", address);
    samples = started(config);
    OK(dht_wait_ready(samples, 30000, &err));
    put_and_trace(samples);
    dht_free(samples);
    dht_free(logging);
    dht_free(silent);
    free(address);
    _exit(0);
}

void logs(void) {
    static char told[1 << 20];
    char *after;
    size_t len = 0;
    ssize_t n;
    int to[2], status = 0;
    pid_t child;
    CHECK(pipe(to) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(dup2(to[1], 2) == 2);
        close(to[0]);
        close(to[1]);
        tell();
    }
    close(to[1]);
    while ((n = read(to[0], told + len, sizeof told - 1 - len)) > 0) {
        len += (size_t)n;
        CHECK(len < sizeof told - 1);
    }
    close(to[0]);
    told[len] = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    if (WEXITSTATUS(status) != 0 || (after = strstr(told, "-- before\n")) == NULL) {
        fprintf(stderr, "%s", told);
        abort();
    }
    *after++ = 0;
    /* What a node logs is of level INFO and above; of traces nothing, before a node samples some. */
    CHECK(strstr(told, " INFO dht: joined node=logs") != NULL);
    CHECK(strstr(told, "DEBUG") == NULL && strstr(told, "node=silent") == NULL);
    CHECK(strstr(after, "DEBUG dht: hop trace=") != NULL && strstr(after, "op=\"put\"") != NULL);
    CHECK(strstr(after, "DEBUG dht: done trace=") != NULL);
}
