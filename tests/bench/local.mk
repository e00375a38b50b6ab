# SPDX-License-Identifier: Apache-2.0
# Built by tests/bench/run.sh only.
EXTRA_DIST += tests/bench/run.sh tests/bench/end_to_end.py tests/bench/mqtt_more.py tests/bench/kafka.py \
	tests/bench/coap_in.py tests/bench/coap_out.py \
	tests/bench/http_dead.py tests/bench/http_in.py tests/bench/http_out.py
EXTRA_PROGRAMS += tests/bench/bench_journal tests/bench/bench_outage tests/bench/bench_recovery tests/bench/bench_routing tests/bench/bench_transform tests/bench/mqtt_load \
	tests/bench/kafka_bare tests/bench/paho_out tests/bench/http_bare tests/bench/http_sinks tests/bench/http_load tests/bench/http_in_bare \
	tests/bench/coap_in_bare tests/bench/coap_load tests/bench/coap_observers tests/bench/coap_out_bare tests/bench/coap_sink \
	tests/bench/coap_swarm
tests_bench_bench_journal_SOURCES = tests/bench/bench_journal.c
tests_bench_bench_journal_LDADD = $(LINKSPAN_LIBS)
tests_bench_bench_outage_SOURCES = tests/bench/bench_outage.c
tests_bench_bench_outage_LDADD = $(LINKSPAN_LIBS)
tests_bench_bench_recovery_SOURCES = tests/bench/bench_recovery.c
tests_bench_bench_recovery_LDADD = $(LINKSPAN_LIBS)
tests_bench_bench_routing_SOURCES = \
	tests/bench/bench_routing.c \
	tests/unit/routing/a_config.c \
	tests/unit/routing/a_config.h
tests_bench_bench_routing_LDADD = $(LINKSPAN_LIBS)
tests_bench_bench_transform_SOURCES = \
	tests/bench/bench_transform.c \
	tests/unit/routing/a_config.c \
	tests/unit/routing/a_config.h
tests_bench_bench_transform_LDADD = $(LINKSPAN_LIBS)
tests_bench_mqtt_load_SOURCES = tests/bench/mqtt_load.c
tests_bench_mqtt_load_LDADD = $(LINKSPAN_LIBS)
tests_bench_paho_out_SOURCES = tests/bench/paho_out.c
tests_bench_paho_out_LDADD = -lpaho-mqtt3as -lpthread
tests_bench_kafka_bare_SOURCES = tests/bench/kafka_bare.c
tests_bench_kafka_bare_LDADD = $(RDKAFKA_LIBS)
PACE = tests/bench/pace.c tests/bench/pace.h
tests_bench_http_load_SOURCES = tests/bench/http_load.c $(PACE)
tests_bench_http_in_bare_SOURCES = tests/bench/http_in_bare.c
tests_bench_http_in_bare_LDADD = $(MHD_LIBS)
tests_bench_http_sinks_SOURCES = tests/bench/http_sinks.c
tests_bench_http_bare_SOURCES = tests/bench/http_bare.c
tests_bench_http_bare_LDADD = $(CURL_LIBS) $(MHD_LIBS)
COAP_WIRE = tests/bench/coap_wire.c tests/bench/coap_wire.h
tests_bench_coap_in_bare_SOURCES = tests/bench/coap_in_bare.c
tests_bench_coap_in_bare_LDADD = $(COAP_LIBS)
COAP_REQUEST = tests/bench/coap_request.c tests/bench/coap_request.h
tests_bench_coap_load_SOURCES = tests/bench/coap_load.c $(COAP_REQUEST) $(COAP_WIRE) $(PACE)
tests_bench_coap_observers_SOURCES = tests/bench/coap_observers.c $(COAP_WIRE)
tests_bench_coap_out_bare_SOURCES = tests/bench/coap_out_bare.c
tests_bench_coap_out_bare_LDADD = $(COAP_LIBS)
tests_bench_coap_sink_SOURCES = tests/bench/coap_sink.c $(COAP_WIRE)
tests_bench_coap_swarm_SOURCES = tests/bench/coap_swarm.c $(COAP_REQUEST) $(COAP_WIRE) $(PACE)
tests_bench_coap_swarm_LDADD = $(OPENSSL_LIBS)
