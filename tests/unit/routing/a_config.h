/* SPDX-License-Identifier: Apache-2.0
 *
 * Configurations made by hand for the router's tests and bench: a few lines instead of a YAML file. Only what the router
 * reads is filled in. Texts are borrowed.
 */
#ifndef LINKSPAN_TESTS_UNIT_ROUTING_A_CONFIG_H
#define LINKSPAN_TESTS_UNIT_ROUTING_A_CONFIG_H

#include "config/config.h"
#include "message/message.h"

struct connector;

/* Connections 0 to n - 1 of one connector, no mappings yet. Never NULL: ends the program when memory is out. */
struct config *a_config(size_t n_connections, const struct connector *connector);
void a_config_free(struct config *config);

/* Appends; pointers into mappings and targets given out before are void. From connection 0. */
struct mapping_config *a_mapping(struct config *config, const char *name, const char *filter);
void a_filter(struct mapping_config *map, const char *filter);
/* qos as received, retain kept. target: NULL for the source topic. */
struct target_config *a_target(struct mapping_config *map, size_t connection, const char *target);
/* A literal as the configuration's char *; nobody writes to it. */
char *a_text(const char *literal);
void a_field(struct config_list *list, const char *name, const char *value);

#endif
