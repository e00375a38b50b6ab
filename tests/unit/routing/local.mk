# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += \
	tests/unit/routing/test_jq_hazards \
	tests/unit/routing/test_json \
	tests/unit/routing/test_router \
	tests/unit/routing/test_template \
	tests/unit/routing/test_topic_filter \
	tests/unit/routing/test_topic_index \
	tests/unit/routing/test_transform
tests_unit_routing_test_jq_hazards_SOURCES = tests/unit/routing/test_jq_hazards.c
tests_unit_routing_test_jq_hazards_LDADD = $(TEST_LIBS)
tests_unit_routing_test_json_SOURCES = tests/unit/routing/test_json.c
tests_unit_routing_test_json_LDADD = $(TEST_LIBS)
tests_unit_routing_test_router_SOURCES = \
	tests/unit/routing/a_config.c \
	tests/unit/routing/a_config.h \
	tests/unit/routing/test_router.c
tests_unit_routing_test_router_LDADD = $(TEST_LIBS)
tests_unit_routing_test_template_SOURCES = tests/unit/routing/test_template.c
tests_unit_routing_test_template_LDADD = $(TEST_LIBS)
tests_unit_routing_test_topic_filter_SOURCES = \
	tests/unit/routing/random_topic.c \
	tests/unit/routing/random_topic.h \
	tests/unit/routing/test_topic_filter.c
tests_unit_routing_test_topic_filter_LDADD = $(TEST_LIBS)
tests_unit_routing_test_topic_index_SOURCES = \
	tests/unit/routing/random_topic.c \
	tests/unit/routing/random_topic.h \
	tests/unit/routing/test_topic_index.c
tests_unit_routing_test_topic_index_LDADD = $(TEST_LIBS)
tests_unit_routing_test_transform_SOURCES = tests/unit/routing/test_transform.c
tests_unit_routing_test_transform_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/routing/test_topic_shape
tests_unit_routing_test_topic_shape_SOURCES = tests/unit/routing/test_topic_shape.c
tests_unit_routing_test_topic_shape_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/routing/test_router_destinations
tests_unit_routing_test_router_destinations_SOURCES = \
	tests/unit/routing/a_config.c \
	tests/unit/routing/a_config.h \
	tests/unit/routing/test_router_destinations.c
tests_unit_routing_test_router_destinations_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/routing/test_reply
tests_unit_routing_test_reply_SOURCES = tests/unit/routing/test_reply.c tests/unit/routing/a_config.c tests/unit/routing/a_config.h
tests_unit_routing_test_reply_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/routing/test_cbor
tests_unit_routing_test_cbor_SOURCES = tests/unit/routing/test_cbor.c
tests_unit_routing_test_cbor_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/routing/test_router_formats
tests_unit_routing_test_router_formats_SOURCES = \
	tests/unit/routing/a_config.c \
	tests/unit/routing/a_config.h \
	tests/unit/routing/test_router_formats.c
tests_unit_routing_test_router_formats_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/routing/test_router_integers
tests_unit_routing_test_router_integers_SOURCES = \
	tests/unit/routing/a_config.c \
	tests/unit/routing/a_config.h \
	tests/unit/routing/test_router_integers.c
tests_unit_routing_test_router_integers_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/routing/test_watch
tests_unit_routing_test_watch_SOURCES = tests/unit/routing/test_watch.c tests/unit/routing/a_config.c tests/unit/routing/a_config.h
tests_unit_routing_test_watch_LDADD = $(TEST_LIBS)
