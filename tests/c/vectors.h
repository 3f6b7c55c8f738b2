/* Reading the vectors in tests/vectors. */
#ifndef VECTORS_H
#define VECTORS_H

#include <dht.h>

#include "json.h"

/* A file of vectors; free `text` after what was read. */
json vectors_of(const char *name, char **text);
/* The status of this name, which must exist. */
dht_status code_of(const char *name);

#endif
