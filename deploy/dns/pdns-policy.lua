-- PowerDNS: lbctl's key may change only these names and types (lua-dnsupdate-policy-script). Without it a key that may
-- update a zone may change everything in it.
local allowed = {
  ["core.example.com."] = { [pdns.A] = true, [pdns.AAAA] = true, [pdns.CNAME] = true },
  ["_lbctl.core.example.com."] = { [pdns.TXT] = true },
}

function updatepolicy(input)
  if input:getTsigName():toString() ~= "lbctl." then
    return false
  end
  local types = allowed[input:getQName():toString():lower()]
  return types ~= nil and types[input:getQType()] == true
end
