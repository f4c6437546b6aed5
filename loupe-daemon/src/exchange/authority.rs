//! The fleet's own authority: a certificate that all members trust, and the server's, which is from
//! it. They do not expire: who has to change them makes them anew, at a time of one's own.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate and its key, as PEM.
pub struct Certified {
    pub certificate: String,
    pub key: String,
}

fn of_authority() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "a fleet of Loupe");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Another authority.
pub fn found() -> Result<Certified, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = of_authority()?.self_signed(&key)?;
    Ok(Certified {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// A certificate for a server that is reached by these names and addresses.
pub fn issue(authority_key: &str, servers: &[String]) -> Result<Certified, rcgen::Error> {
    let issuer = Issuer::new(of_authority()?, KeyPair::from_pem(authority_key)?);
    let mut params = CertificateParams::new(servers)?;
    let first = servers.first().map_or("server", String::as_str);
    params.distinguished_name.push(DnType::CommonName, first);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Certified {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}
