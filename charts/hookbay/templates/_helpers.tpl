{{/* Names. Everything of a release begins with the same one: "hookbay" for the release of that name, else RELEASE-hookbay. */}}

{{- define "hookbay.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 46 characters, so that with the longest suffix, -manager-metrics, it is a name for a Service. */}}
{{- define "hookbay.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "hookbay.manager" -}}
{{ include "hookbay.fullname" . }}-manager
{{- end -}}

{{- define "hookbay.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "hookbay.manager" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Labels. The selector's three never change in a release; those that tell versions are never on pods, which would restart for them. */}}

{{- define "hookbay.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hookbay.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: manager
{{- end -}}

{{- define "hookbay.versionLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end -}}

{{- define "hookbay.labels" -}}
{{ include "hookbay.selectorLabels" . }}
{{ include "hookbay.versionLabels" . }}
{{- end -}}

{{/* The labels that the manager gives to all receivers. */}}
{{- define "hookbay.receiverLabels" -}}
app.kubernetes.io/managed-by: hookbay
app.kubernetes.io/name: receiver
{{- end -}}

{{/* An image: (dict "image" .Values.image "root" $). A digest wins over a tag, and no tag is the chart's appVersion. */}}
{{- define "hookbay.image" -}}
{{- with .image.registry }}{{ . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest -}}
@{{ .image.digest }}
{{- else -}}
:{{ default $.root.Chart.AppVersion .image.tag }}
{{- end -}}
{{- end -}}

{{/* The rules of one role in files/role.yaml, which controller-gen writes: (dict "kind" "ClusterRole" "name" "hookbay-manager" "root" $). */}}
{{- define "hookbay.rules" -}}
{{- $rules := list -}}
{{- range splitList "\n---\n" (.root.Files.Get "files/role.yaml" | trimPrefix "---") -}}
{{- $role := fromYaml . -}}
{{- if and (eq $role.kind $.kind) (eq $role.metadata.name $.name) -}}
{{- $rules = $role.rules -}}
{{- end -}}
{{- end -}}
{{- if not $rules -}}
{{- fail (printf "files/role.yaml has no %s %s: run make generate" .kind .name) -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

{{/* Whom the roles of the manager are bound to. */}}
{{- define "hookbay.subjects" -}}
- kind: ServiceAccount
  name: {{ include "hookbay.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{/* Not empty where the API server decides who may read the manager's metrics. */}}
{{- define "hookbay.metricsAuth" -}}
{{- if and .Values.metrics.enabled .Values.metrics.secure -}}true{{- end -}}
{{- end -}}

{{/* What Pod Security "restricted" asks of a pod, and of its container. */}}

{{- define "hookbay.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "hookbay.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end -}}

{{/* The helm test: its labels, none of which the manager's selectors take, and the spec of its endpoint: (dict "name" NAME "root" $). */}}

{{- define "hookbay.testLabels" -}}
app.kubernetes.io/name: {{ include "hookbay.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: test
{{- end -}}

{{- define "hookbay.testEndpoint" -}}
source:
  type: Lazada
  lazada:
    appKey: "100132"
    appSecretRefs:
      - name: {{ .name | quote }}
        key: app-secret
    messageTypes: [2]
target:
  type: URL
  url: https://never-called.invalid/
buffer:
  type: None
receiver:
  replicas: 1
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
