#include "json.h"

#include "check.h"

static void skip(const char **at) {
    while (**at == ' ' || **at == '\n' || **at == '\t' || **at == '\r') {
        (*at)++;
    }
}

static unsigned hex4(const char **at) {
    unsigned code = 0;
    int i;
    for (i = 0; i < 4; i++, (*at)++) {
        char c = **at;
        code = code * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return code;
}

static size_t utf8(char *out, unsigned code) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

static char *string(const char **at, size_t *len) {
    const char *end = *at + 1;
    char *text;
    size_t n = 0;
    CHECK(**at == '"');
    while (*end != '"') {
        CHECK(*end != 0);
        end += *end == '\\' ? 2 : 1;
    }
    text = malloc((size_t)(end - *at) + 1);
    CHECK(text != NULL);
    (*at)++;
    while (**at != '"') {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *known;
        unsigned code;
        if (**at != '\\') {
            text[n++] = *(*at)++;
            continue;
        }
        (*at)++;
        if (**at != 'u') {
            known = strchr(from, **at);
            CHECK(known != NULL);
            text[n++] = to[known - from];
            (*at)++;
            continue;
        }
        (*at)++;
        code = hex4(at);
        if (code >= 0xd800 && code < 0xdc00) {
            CHECK((*at)[0] == '\\' && (*at)[1] == 'u');
            *at += 2;
            code = 0x10000 + ((code - 0xd800) << 10) + (hex4(at) - 0xdc00);
        }
        n += utf8(text + n, code);
    }
    (*at)++;
    text[n] = 0;
    *len = n;
    return text;
}

static json value(const char **at);

static json items(const char **at, char close) {
    json all = {JSON_LIST, 0, NULL, 0, NULL, NULL, NULL, 0};
    if (close == '}') {
        all.kind = JSON_OBJECT;
    }
    (*at)++;
    skip(at);
    while (**at != close) {
        size_t len;
        all.items = realloc(all.items, (all.len + 1) * sizeof(json));
        all.names = realloc(all.names, (all.len + 1) * sizeof(char *));
        CHECK(all.items != NULL && all.names != NULL);
        all.names[all.len] = NULL;
        if (close == '}') {
            all.names[all.len] = string(at, &len);
            skip(at);
            CHECK(*(*at)++ == ':');
        }
        all.items[all.len++] = value(at);
        skip(at);
        if (**at == ',') {
            (*at)++;
            skip(at);
        }
    }
    (*at)++;
    return all;
}

static json value(const char **at) {
    json one = {JSON_NULL, 0, NULL, 0, NULL, NULL, NULL, 0};
    const char *from;
    skip(at);
    from = *at;
    if (**at == '{' || **at == '[') {
        one = items(at, **at == '{' ? '}' : ']');
    } else if (**at == '"') {
        one.kind = JSON_STRING;
        one.text = string(at, &one.len);
    } else if (strncmp(*at, "null", 4) == 0) {
        *at += 4;
    } else if (strncmp(*at, "true", 4) == 0 || strncmp(*at, "false", 5) == 0) {
        one.kind = JSON_BOOL;
        one.number = **at == 't';
        *at += **at == 't' ? 4 : 5;
    } else {
        char *end;
        one.kind = JSON_NUMBER;
        one.number = strtod(*at, &end);
        CHECK(end != *at);
        *at = end;
    }
    one.from = from;
    one.from_len = (size_t)(*at - from);
    return one;
}

json json_read(const char *text) {
    json all = value(&text);
    skip(&text);
    CHECK(*text == 0);
    return all;
}

void json_free(json *value) {
    size_t i;
    for (i = 0; value->items != NULL && i < value->len; i++) {
        json_free(&value->items[i]);
        free(value->names[i]);
    }
    free(value->items);
    free(value->names);
    free(value->text);
}

const json *json_member(const json *object, const char *name) {
    size_t i;
    CHECK(object->kind == JSON_OBJECT);
    for (i = 0; i < object->len; i++) {
        if (strcmp(object->names[i], name) == 0) {
            return &object->items[i];
        }
    }
    return NULL;
}

const json *json_at(const json *object, const char *name) {
    const json *member = json_member(object, name);
    if (member == NULL) {
        fprintf(stderr, "no member %s in %.*s\n", name, (int)object->from_len, object->from);
        abort();
    }
    return member;
}

const char *json_text(const json *object, const char *name) {
    const json *member = json_at(object, name);
    CHECK(member->kind == JSON_STRING);
    return member->text;
}
