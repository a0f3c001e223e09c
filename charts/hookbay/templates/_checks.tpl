{{/* What values.schema.json cannot say well: values that go together. Each message says what to write. */}}
{{- define "hookbay.checks" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "leaderElection.enabled: write true, or replicas: 1: without it all managers would work at once" -}}
{{- end -}}
{{- if and .Values.kubeAPI.burst (not .Values.kubeAPI.qps) -}}
{{- fail "kubeAPI.burst: write kubeAPI.qps as well: without it there is no limit" -}}
{{- end -}}
{{- if and (eq .Values.defaultBuffer "JetStream") (not .Values.jetStream.urls) -}}
{{- fail "jetStream.urls: write the address of a NATS server, such as [nats://nats.messaging.svc:4222]: defaultBuffer is JetStream" -}}
{{- end -}}
{{- if ne (empty .Values.jetStream.credentials.secretName) (empty .Values.jetStream.credentials.key) -}}
{{- fail "jetStream.credentials: write both secretName and key, or neither" -}}
{{- end -}}
{{- if and .Values.jetStream.credentials.secretName (not .Values.jetStream.urls) -}}
{{- fail "jetStream.credentials: write jetStream.urls as well: they are only for the servers there" -}}
{{- end -}}
{{- range .Values.extraArgs -}}
{{- if regexMatch "^--watch-namespaces(=|$)" . -}}
{{- fail "extraArgs: write watchNamespaces instead of --watch-namespaces: the manager's roles follow that" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.metrics.enabled) -}}
{{- fail "serviceMonitor.enabled: write metrics.enabled: true as well: there are no metrics to scrape" -}}
{{- end -}}
{{- if and .Values.metrics.enabled (eq (int .Values.metrics.port) 8081) -}}
{{- fail "metrics.port: write another one than 8081, which is that of the probes" -}}
{{- end -}}
{{- if and .Values.metrics.certificate.secretName (not (include "hookbay.metricsAuth" .)) -}}
{{- fail "metrics.certificate.secretName: leave it out, or write metrics.enabled: true and metrics.secure: true: by HTTP no certificate is used" -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) .Values.rbac.create -}}
{{- fail "serviceAccount.name: write the name of an account that exists, or serviceAccount.create: true: the account default is every pod's, and would get the manager's rights" -}}
{{- end -}}
{{- end -}}
