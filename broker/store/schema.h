/* schema.h - schema.sql as a string; the build makes it. */
#ifndef BROKER_STORE_SCHEMA_H
#define BROKER_STORE_SCHEMA_H

extern const char schema_sql[];

#endif
