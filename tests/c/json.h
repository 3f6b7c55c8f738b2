/* A small JSON reader for the test vectors: no streaming, no speed, aborts on what is no JSON. */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>

typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_LIST, JSON_OBJECT } json_kind;

typedef struct json {
    json_kind kind;
    double number;      /* of a bool: 0 or 1 */
    char *text;         /* of a string, NUL-terminated; `len` bytes */
    size_t len;         /* of a string bytes, of a list or object items */
    char **names;       /* of an object */
    struct json *items; /* of a list or object */
    const char *from;   /* its source text, not NUL-terminated */
    size_t from_len;
} json;

json json_read(const char *text);
void json_free(json *value);
/* A member; NULL if there is none. */
const json *json_member(const json *object, const char *name);
/* A member that must be there. */
const json *json_at(const json *object, const char *name);
/* The text of a member that must be a string. */
const char *json_text(const json *object, const char *name);

#endif
