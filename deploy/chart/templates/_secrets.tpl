{{/* The existing content of the secret, or random characters; the same at each use within one installation. */}}
{{- define "secret-value" -}}
{{- $made := get .root.Release "faasFlowSecrets" | default dict }}
{{- if not (hasKey $made .name) }}
{{- $found := lookup "v1" "Secret" .root.Values.functionsNamespace .name }}
{{- $value := "" }}
{{- if $found }}
{{- $value = index $found.data .name | b64dec }}
{{- else if .root.Values.secrets.create }}
{{- $value = randAlphaNum 40 }}
{{- else }}
{{- $value = fail (printf "there is no secret %s in %s: create it, or set secrets.create" .name .root.Values.functionsNamespace) }}
{{- end }}
{{- $_ := set $made .name $value }}
{{- $_ := set .root.Release "faasFlowSecrets" $made }}
{{- end }}
{{- get $made .name }}
{{- end }}
{{/* The password of Redis: the existing content of its secret, or random characters. */}}
{{- define "redis-password" -}}
{{- $found := lookup "v1" "Secret" .Release.Namespace "redis-password" }}
{{- if $found }}{{ index $found.data "redis-password" | b64dec }}{{ else }}{{ randAlphaNum 40 }}{{ end }}
{{- end }}
