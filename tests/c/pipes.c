/* A program in C that does not ignore SIGPIPE loses its peers while it writes to them: it lives on. Each host is a
 * process of its own, forked before any node exists. */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PEERS = 2, WRITERS = 8, VALUE_LEN = 2 << 20 };

struct load {
    dht_t *node;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int succeeded, failed;
    bool over;
    char *value;
};

static void wait_for(struct load *load, const int *count, int more) {
    int until;
    CHECK(pthread_mutex_lock(&load->lock) == 0);
    for (until = *count + more; *count < until;) {
        CHECK(pthread_cond_wait(&load->moved, &load->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&load->lock) == 0);
}

static void *write_on(void *argument) {
    struct load *load = argument;
    for (;;) {
        char key[32];
        bool over;
        dht_status status;
        snprintf(key, sizeof key, "%lx", (unsigned long)pthread_self());
        status = dht_put_with(load->node, key, load->value, "{\"consistency\": \"all\", \"timeout\": 0.5}", NULL, NULL);
        CHECK(pthread_mutex_lock(&load->lock) == 0);
        *(status == DHT_OK ? &load->succeeded : &load->failed) += 1;
        over = load->over;
        CHECK(pthread_cond_broadcast(&load->moved) == 0);
        CHECK(pthread_mutex_unlock(&load->lock) == 0);
        if (over) {
            return NULL;
        }
    }
}

/* Joins the seed that it reads, says that it is ready, and lives until it is killed. */
static void peer(int from, int to) {
    char seed[128], config[256];
    size_t n = 0;
    dht_t *node;
    /* Whatever ends the host ends it too, halted or not. */
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    do {
        CHECK(n < sizeof seed && read(from, seed + n, 1) == 1);
    } while (seed[n++] != 0);
    snprintf(config, sizeof config, "{\"seeds\": [\"%s\"]}", seed);
    node = started(config);
    OK(dht_wait_ready(node, 60000, &err));
    CHECK(write(to, "r", 1) == 1);
    pause();
    _exit(1);
}

/* `halted`: the peers stop reading first, so that much is queued towards them when they go. */
static void host(bool halted) {
    struct load load = {NULL, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, false, NULL};
    pthread_t writers[WRITERS];
    pid_t peers[PEERS];
    int down[PEERS][2], up[2], i;
    char *address, word;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    alarm(120);
    CHECK(pipe(up) == 0);
    for (i = 0; i < PEERS; i++) {
        CHECK(pipe(down[i]) == 0 && (peers[i] = fork()) >= 0);
        if (peers[i] == 0) {
            alarm(120);
            peer(down[i][0], up[1]);
        }
    }
    load.node = started(NULL);
    address = address_of(load.node);
    for (i = 0; i < PEERS; i++) {
        CHECK(write(down[i][1], address, strlen(address) + 1) == (ssize_t)strlen(address) + 1);
    }
    for (i = 0; i < PEERS; i++) {
        CHECK(read(up[0], &word, 1) == 1);
    }
    free(address);
    CHECK((load.value = malloc(VALUE_LEN + 1)) != NULL);
    memset(load.value, '1', VALUE_LEN);
    load.value[VALUE_LEN] = 0;
    for (i = 0; i < WRITERS; i++) {
        CHECK(pthread_create(&writers[i], NULL, write_on, &load) == 0);
    }
    wait_for(&load, &load.succeeded, WRITERS);
    for (i = 0; halted && i < PEERS; i++) {
        CHECK(kill(peers[i], SIGSTOP) == 0);
    }
    if (halted) {
        wait_for(&load, &load.failed, WRITERS);
    }
    for (i = 0; i < PEERS; i++) {
        CHECK(kill(peers[i], SIGKILL) == 0 && waitpid(peers[i], NULL, 0) == peers[i]);
    }
    /* Alone in the end, it serves on. */
    wait_for(&load, &load.succeeded, 2 * WRITERS);
    CHECK(pthread_mutex_lock(&load.lock) == 0);
    load.over = true;
    CHECK(pthread_mutex_unlock(&load.lock) == 0);
    for (i = 0; i < WRITERS; i++) {
        CHECK(pthread_join(writers[i], NULL) == 0);
    }
    free(load.value);
    dht_free(load.node);
    _exit(0);
}

void pipes(void) {
    int round;
    for (round = 0; round < 2; round++) {
        int status = 0;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            host(round == 0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status)) {
            fprintf(stderr, "a host was ended by signal %d\n", WTERMSIG(status));
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}
