# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	connectors/coap/client.c \
	connectors/coap/client.h \
	connectors/coap/client_settings.c \
	connectors/coap/client_settings.h \
	connectors/coap/coap.c \
	connectors/coap/coap.h \
	connectors/coap/coap_loop.c \
	connectors/coap/coap_loop.h \
	connectors/coap/content_format.c \
	connectors/coap/content_format.h \
	connectors/coap/dedupe.c \
	connectors/coap/dedupe.h \
	connectors/coap/freshness.c \
	connectors/coap/freshness.h \
	connectors/coap/in.c \
	connectors/coap/in.h \
	connectors/coap/in_settings.c \
	connectors/coap/in_settings.h \
	connectors/coap/link_format.c \
	connectors/coap/link_format.h \
	connectors/coap/path.c \
	connectors/coap/path.h \
	connectors/coap/psk_file.c \
	connectors/coap/psk_file.h \
	connectors/coap/rate.c \
	connectors/coap/rate.h \
	connectors/coap/reassembly.c \
	connectors/coap/reassembly.h \
	connectors/coap/settings.c \
	connectors/coap/settings.h
nobase_dist_doc_DATA += connectors/coap/README.md
