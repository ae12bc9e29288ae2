/* schema.h - schema.sql and sqlite_schema.sql as strings; the build makes them. */
#ifndef BROKER_STORE_SCHEMA_H
#define BROKER_STORE_SCHEMA_H

extern const char schema_sql[];
extern const char sqlite_schema_sql[];

#endif
