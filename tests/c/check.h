/* What the C tests have in common: one tiny assertion, the themes, and shorthands. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dht.h>

/* Ends the program at the first thing that does not hold: what comes after it would only confuse. */
#define CHECK(condition)                                                                \
    do {                                                                                \
        if (!(condition)) {                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                    \
        }                                                                               \
    } while (0)

/* A status that must be this one. */
#define STATUS(call, expected)                                                          \
    do {                                                                                \
        dht_status got_ = (call);                                                       \
        if (got_ != (expected)) {                                                       \
            fprintf(stderr, "%s:%d: %s: %s instead of %s\n", __FILE__, __LINE__, #call, \
                    dht_status_name((int32_t)got_), dht_status_name((int32_t)(expected))); \
            abort();                                                                    \
        }                                                                               \
    } while (0)

/* A call, written with `&err` as its last argument, that must succeed; its error is printed if not. */
#define OK(call)                                                                        \
    do {                                                                                \
        dht_error_t *err = NULL;                                                        \
        dht_status got_ = (call);                                                       \
        if (got_ != DHT_OK) {                                                           \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, dht_error_message(err)); \
            abort();                                                                    \
        }                                                                               \
        CHECK(err == NULL);                                                             \
    } while (0)

/* A call, written with `&err` as its last argument, that must fail like this and say so. */
#define FAILS(call, expected)                                                           \
    do {                                                                                \
        dht_error_t *err = NULL;                                                        \
        STATUS(call, expected);                                                         \
        CHECK(err != NULL && dht_error_code(err) == (expected));                        \
        CHECK(strncmp(dht_error_message(err), dht_status_name((int32_t)(expected)),     \
                      strlen(dht_status_name((int32_t)(expected)))) == 0);              \
        dht_error_free(err);                                                            \
    } while (0)

/* A started node of `config_json`. */
dht_t *started(const char *config_json);
/* The text of a NUL-terminated file; free it. */
char *file_text(const char *path);
/* The "address" of a node; free it. */
char *address_of(dht_t *node);
/* Whether `key` has exactly this JSON text. */
int holds(dht_t *node, const char *key, const char *value_json);

void life(void);
void data(void);
void odd_keys(void);
void atomic(void);
void batches(void);
void scans(void);
void nulls(void);
void topology(void);
void threads(void);
void cycles(void);
void forks(void);
void processes(void);
void pipes(void);
void logs(void);
void wrong(void);
void secured(void);
void vectors(void);

#endif
